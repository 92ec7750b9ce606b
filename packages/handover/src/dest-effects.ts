// How the destination's transitions write their effects down.
import type { DestinationState } from './dest-states.ts';
import type { DestinationEffect, DestinationStep, Report } from './effects.ts';
import type { DestinationRecord } from './journal-record.ts';
import { boundedReason, type DestinationMessage } from './messages.ts';

/** Writes a state down as its record. */
export function journal(record: DestinationRecord): DestinationEffect {
  return { type: 'journal', record, sync: false };
}

/** An answer of this state's epoch. */
export function send(state: DestinationState, message: DestinationMessage): DestinationEffect {
  return { type: 'send', epoch: state.epoch, message };
}

/** Tells the operator. */
export function report(what: Report): DestinationEffect {
  return { type: 'report', report: what };
}

/** Nothing happens. */
export function stay(state: DestinationState): DestinationStep {
  return { state, effects: [] };
}

/** Nothing happens but that the operator hears of it; `retry` follows. */
export function trouble(state: DestinationState, reason: string): DestinationStep {
  return { state, effects: [report({ outcome: 'trouble', reason: boundedReason(reason) })] };
}

/** The request came after the order to start, or to destroy, was given. */
export function tooLate(state: DestinationState): DestinationStep {
  return { state, effects: [report({ outcome: 'too-late', reason: `the guest is ${state.phase} here` })] };
}

/** The request came before there was a whole guest. */
export function tooEarly(state: DestinationState): DestinationStep {
  const reason = `the migration is ${state.phase}: there is no whole guest here`;
  return { state, effects: [report({ outcome: 'too-early', reason })] };
}
