// How the source's transitions write their effects down, and what they refuse.
import type { Report, SourceEffect, SourceStep } from './effects.ts';
import type { SourceRecord } from './journal-record.ts';
import { boundedReason, type Cause, type DestinationMessage, type SourceMessage } from './messages.ts';
import { TAKEN_OVER } from './source-causes.ts';
import { HandoverError } from './errors.ts';
import type { SourceEvent, SourceState } from './source-states.ts';

type In<P extends SourceState['phase']> = Extract<SourceState, { phase: P }>;

/** Writes a state down as its record: its own fields. To revoke is to write the intent (pausing) again. */
export function journal(state: SourceRecord | In<'pausing' | 'revoking'>, sync = false): SourceEffect {
  if (state.phase !== 'revoking') return { type: 'journal', record: state, sync };
  const { epoch, abortedEpoch, priorRunState } = state;
  return { type: 'journal', record: { phase: 'pausing', epoch, abortedEpoch, priorRunState }, sync };
}

/** A message of this state's epoch. */
export function send(state: SourceState, message: SourceMessage): SourceEffect {
  return { type: 'send', epoch: state.epoch, message };
}

/** Tells the peer that this epoch is over. */
export function abort(state: SourceState, cause: Cause): SourceEffect {
  return send(state, { type: 'abort', reason: cause.reason });
}

/** Nothing, if the peer has answered already. */
export function abortIfOwed(state: In<'resuming' | 'rolled-back'>): readonly SourceEffect[] {
  return state.isPeerInformed ? [] : [abort(state, state.cause)];
}

/** Tells the operator. */
export function report(what: Report): SourceEffect {
  return { type: 'report', report: what };
}

/** Nothing happens. */
export function stay(state: SourceState): SourceStep {
  return { state, effects: [] };
}

/** Nothing happens but that the operator hears of it; `retry` follows. */
export function trouble(state: SourceState, reason: string): SourceStep {
  return { state, effects: [report({ outcome: 'trouble', reason })] };
}

/** The request came after the point of no return. */
export function tooLate(state: SourceState): SourceStep {
  return { state, effects: [report({ outcome: 'too-late', reason: `the migration is ${state.phase}` })] };
}

/** The request came before there was anything to take over. */
export function tooEarly(state: SourceState): SourceStep {
  return { state, effects: [report({ outcome: 'too-early', reason: `the migration is ${state.phase}` })] };
}

/** Both sides own the guest, by an operator's word that was not so. Only the operator can end one of them. */
export function twoOwners(state: In<'resuming' | 'rolled-back'>): SourceStep {
  const reason = `the guest is the source's (${state.cause.reason}), and the destination says that it is running there`;
  return { state, effects: [report({ outcome: 'two-owners', reason: boundedReason(reason) })] };
}

/** A destination that was given up for good is heard of again. */
export function lateAnswer(
  { cause }: In<'resuming' | 'rolled-back'>,
  message: DestinationMessage,
): readonly SourceEffect[] {
  if (cause.code !== TAKEN_OVER.code) return [];
  const reason = `the guest was taken over here, and the destination says ${message.type}`;
  return [report({ outcome: 'late-answer', reason })];
}

/** The record was not written, so the guest was not resumed: the commit stands. */
export function untaken({ epoch, abortedEpoch, priorRunState }: In<'resuming'>, reason: string): SourceStep {
  const state = { phase: 'committed', epoch, abortedEpoch, priorRunState } as const;
  return trouble(state, `the takeover could not be journaled: ${reason}; nothing was changed`);
}

/** The peer's fault. */
export function unexpected(state: SourceState, message: DestinationMessage): HandoverError {
  return new HandoverError({ code: 'unexpected-message', state: state.phase, message: message.type });
}

/** The daemon's own mistake. */
export function impossible(state: SourceState, event: SourceEvent): HandoverError {
  return new HandoverError({ code: 'impossible-event', state: state.phase, event: event.type });
}
