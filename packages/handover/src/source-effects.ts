// How the source's transitions write their effects down.
import type { Report, SourceEffect } from './effects.ts';
import type { SourceRecord } from './journal-record.ts';
import type { Cause, SourceMessage } from './messages.ts';
import type { SourceState } from './source-states.ts';

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
