// The source's transitions: sourceStep(state, event) -> { state, effects }. Pure; the model explores this very function.
//
// stateDiagram-v2
//   precopy --> pausing: begin-switchover / arm-guard, journal(pausing), pause-guest
//   pausing --> paused: guest-paused
//   paused --> offered: final-round-done / send handover
//   paused --> going_on: end-pulse / resume-guest
//   going_on --> precopy: guest-resumed / journal(precopy), release-guard
//   offered --> committing: ready / journal(committed, sync)
//   committing --> committed: journaled / release-guard, send commit
//   committing --> revoking: journal-failed / send abort, journal(pausing, sync)
//   revoking --> resuming: journaled or aborted / resume-guest
//   committed --> committed: link-restored / send commit
//   committed --> completed: running / journal(completed)
//   committed --> resuming: refused, aborted or operator-takeover / journal(reclaimed), resume-guest
//   resuming --> committed: journal-failed after a takeover
//   pausing --> resuming: any failure (paused, going_on, offered too) / send abort, resume-guest
//   resuming --> rolled_back: guest-resumed / release-guard, journal(rolled-back)
//   precopy --> rolled_back: any failure / send abort, journal(rolled-back)
//   rolled_back --> precopy: epoch-started / journal(precopy) (from precopy too)
//
// What was paused before us skips `resuming`: nothing is resumed. Before the commit a rollback resumes first and
// journals after: the record on disk (pausing) leads to the same end. After a commit it is the other way round.
import type { SourceEffect, SourceStep } from './effects.ts';
import { HandoverError } from './errors.ts';
import { boundedReason, type Cause, type DestinationMessage } from './messages.ts';
import {
  abort,
  abortIfOwed,
  journal,
  lateAnswer,
  report,
  send,
  stay,
  tooEarly,
  tooLate,
  trouble,
  twoOwners,
  unexpected,
  untaken,
  impossible,
} from './source-effects.ts';
import { abortedByDestination, failureCause, TAKEN_OVER } from './source-causes.ts';
import type { SourceEvent, SourceState } from './source-states.ts';

type In<P extends SourceState['phase']> = Extract<SourceState, { phase: P }>;

/** The first state of a session's first epoch, and its first record. */
export function beginSource(epoch: number): SourceStep {
  const state = { phase: 'precopy', epoch, abortedEpoch: null } as const;
  return { state, effects: [journal(state)] };
}

/**
 * One transition. Events are delivered one at a time, each after the effects of the one before (executor.ts).
 * A message of an older epoch is left over from a connection that is gone, and changes nothing.
 * @throws {HandoverError} `impossible-event` (assertion), or a peer's fault; the state is then unchanged.
 */
export function sourceStep(state: SourceState, event: SourceEvent): SourceStep {
  if (event.type === 'message' && event.epoch < state.epoch) return stay(state);
  if (event.type === 'message' && event.epoch > state.epoch) {
    const { phase, epoch } = state;
    throw new HandoverError({ code: 'wrong-epoch', state: phase, expected: epoch, actual: event.epoch });
  }
  switch (state.phase) {
    case 'precopy':
      return inPrecopy(state, event);
    case 'pausing':
    case 'paused':
    case 'offered':
      return beforeCommit(state, event);
    case 'going-on':
      return inGoingOn(state, event);
    case 'committing':
      return inCommitting(state, event);
    case 'revoking':
      return inRevoking(state, event);
    case 'committed':
      return inCommitted(state, event);
    case 'resuming':
      return inResuming(state, event);
    case 'rolled-back':
      return inRolledBack(state, event);
    case 'completed':
      return inCompleted(state, event);
  }
}

function inPrecopy(state: In<'precopy'>, event: SourceEvent): SourceStep {
  if (event.type === 'begin-switchover') {
    const next = { ...state, phase: 'pausing', priorRunState: event.priorRunState } as const;
    return { state: next, effects: [{ type: 'arm-guard' }, journal(next), { type: 'pause-guest' }] };
  }
  if (event.type === 'epoch-started') return newEpoch(state, event);
  if (event.type === 'operator-takeover') return tooEarly(state);
  // A cut does not end precopy by itself: whether to reconnect is the daemon's policy, which then says `failed`.
  if (event.type === 'link-lost' || event.type === 'link-restored' || event.type === 'retry')
    return stay(state);
  if (event.type === 'message') {
    if (event.message.type !== 'aborted') throw unexpected(state, event.message);
    return rolledBack(state, abortedByDestination(event.message.reason), true);
  }
  const cause = failureCause(event);
  if (cause !== null) return rolledBack(state, cause, false, [abort(state, cause)]);
  throw impossible(state, event);
}

/** Whatever fails here resumes the guest. */
function beforeCommit(state: In<'pausing' | 'paused' | 'offered'>, event: SourceEvent): SourceStep {
  if (state.phase === 'pausing' && event.type === 'guest-paused') return stay({ ...state, phase: 'paused' });
  if (state.phase === 'paused' && event.type === 'final-round-done') {
    const handover = send(state, { type: 'handover', runState: state.priorRunState });
    return { state: { ...state, phase: 'offered' }, effects: [handover] };
  }
  if (state.phase === 'paused' && event.type === 'end-pulse') return endPulse(state);
  if (event.type === 'message') {
    if (event.message.type === 'aborted') {
      return rollBack(state, abortedByDestination(event.message.reason), true);
    }
    if (state.phase !== 'offered' || event.message.type !== 'ready') throw unexpected(state, event.message);
    const record = { ...state, phase: 'committed' } as const;
    return { state: { ...state, phase: 'committing' }, effects: [journal(record, true)] };
  }
  if (event.type === 'operator-takeover') return tooEarly(state);
  if (event.type === 'retry') return stay(state);
  const cause = failureCause(event);
  if (cause !== null) return rollBack(state, cause, false);
  throw impossible(state, event);
}

/** A guest that somebody else had paused stays so. */
function endPulse(state: In<'paused'>): SourceStep {
  const next = { ...state, phase: 'going-on' } as const;
  return state.priorRunState === 'paused' ? goOn(next) : { state: next, effects: [{ type: 'resume-guest' }] };
}

/** The guard is released last: until the guest runs it is the one that would resume it. */
function goOn({ epoch, abortedEpoch }: In<'going-on'>): SourceStep {
  const next = { phase: 'precopy', epoch, abortedEpoch } as const;
  return { state: next, effects: [journal(next), { type: 'release-guard' }] };
}

function inGoingOn(state: In<'going-on'>, event: SourceEvent): SourceStep {
  if (event.type === 'guest-resumed') return goOn(state);
  if (event.type === 'resume-failed') return trouble(state, `the guest does not resume: ${event.reason}`);
  if (event.type === 'retry') return { state, effects: [{ type: 'resume-guest' }] };
  if (event.type === 'guest-gone') return rollBack(state, { code: 'failed', reason: event.reason }, false);
  if (event.type === 'message') {
    if (event.message.type !== 'aborted') throw unexpected(state, event.message);
    return rollBack(state, abortedByDestination(event.message.reason), true);
  }
  if (event.type === 'operator-takeover') return tooEarly(state);
  const cause = failureCause(event);
  if (cause !== null) return rollBack(state, cause, false);
  throw impossible(state, event);
}

function inCommitting(state: In<'committing'>, event: SourceEvent): SourceStep {
  if (event.type === 'journaled') {
    const next = { ...state, phase: 'committed' } as const;
    return { state: next, effects: [{ type: 'release-guard' }, send(next, { type: 'commit' })] };
  }
  if (event.type === 'journal-failed') {
    const cause: Cause = {
      code: 'failed',
      reason: boundedReason(`the commit could not be journaled: ${event.reason}`),
    };
    const next = { ...state, phase: 'revoking', cause } as const;
    return { state: next, effects: [abort(next, cause), journal(next, true)] };
  }
  if (event.type === 'operator-takeover') return tooEarly(state);
  if (event.type === 'cancel') return tooLate(state);
  if (isPassing(event)) return stay(state);
  throw impossible(state, event);
}

/**
 * `committed` may be on disk. Resuming now and dying would let the next daemon commit, and two guests would run;
 * so first the pausing record is written over it and synced, or the destination says that it is over there.
 */
function inRevoking(state: In<'revoking'>, event: SourceEvent): SourceStep {
  if (event.type === 'journaled') return resume(state, state.cause, false);
  if (event.type === 'journal-failed') {
    return trouble(state, `the commit could not be revoked: ${event.reason}; the guest stays paused`);
  }
  if (event.type === 'retry') return { state, effects: [abort(state, state.cause), journal(state, true)] };
  if (event.type === 'link-restored') return { state, effects: [abort(state, state.cause)] };
  if (event.type === 'message') {
    if (event.message.type === 'ready') return stay(state);
    if (event.message.type === 'aborted') return resume(state, state.cause, true);
    throw unexpected(state, event.message);
  }
  // What is missing is this side's journal, not the destination's word.
  if (event.type === 'operator-takeover') return tooEarly(state);
  if (event.type === 'cancel' || isPassing(event)) return stay(state);
  throw impossible(state, event);
}

function inCommitted(state: In<'committed'>, event: SourceEvent): SourceStep {
  if (event.type === 'message') return answered(state, event.message);
  if (event.type === 'link-restored' || event.type === 'retry') {
    return { state, effects: [send(state, { type: 'commit' })] };
  }
  if (event.type === 'operator-takeover') return reclaim(state, TAKEN_OVER, false);
  if (event.type === 'cancel') return tooLate(state);
  if (isPassing(event)) return stay(state);
  throw impossible(state, event);
}

/**
 * The destination's answer to a commit. `aborted` (its operator ended the epoch before any resume order) proves the
 * same as `refused`: the guest never ran there and is dead, journaled.
 */
function answered(state: In<'committed'>, message: DestinationMessage): SourceStep {
  if (message.type === 'ready') return stay(state);
  if (message.type === 'running') {
    const next = { phase: 'completed', epoch: state.epoch, abortedEpoch: state.abortedEpoch } as const;
    return { state: next, effects: [journal(next), report({ outcome: 'completed' })] };
  }
  const cause: Cause =
    message.type === 'refused'
      ? { code: 'refused', reason: boundedReason(message.reason) }
      : abortedByDestination(message.reason);
  return reclaim(state, cause, true);
}

/** That the guest is ours again is on record before it is resumed: a restart would ask about the commit otherwise. */
function reclaim(state: In<'committed'>, cause: Cause, isPeerInformed: boolean): SourceStep {
  return resume(state, cause, isPeerInformed, [journal({ ...state, phase: 'reclaimed', cause })]);
}

function inResuming(state: In<'resuming'>, event: SourceEvent): SourceStep {
  if (event.type === 'guest-resumed') return rolledBack(state, state.cause, state.isPeerInformed);
  if (event.type === 'guest-gone') {
    const lost = report({ outcome: 'trouble', reason: `the guest is gone: ${event.reason}` });
    return rolledBack(state, state.cause, state.isPeerInformed, [lost]);
  }
  if (event.type === 'resume-failed') return trouble(state, `the guest does not resume: ${event.reason}`);
  // The operator's word is not on record, and nobody else remembers it: it counts for nothing.
  if (event.type === 'journal-failed' && state.cause.code === TAKEN_OVER.code)
    return untaken(state, event.reason);
  // Writing `reclaimed` failed: the destination remembers its answer, so resuming is safe without it.
  if (event.type === 'journal-failed' || event.type === 'retry') {
    return { state, effects: [{ type: 'resume-guest' }] };
  }
  if (event.type === 'link-restored') return { state, effects: abortIfOwed(state) };
  if (event.type === 'message') {
    if (event.message.type === 'running') return twoOwners(state);
    const isPeerInformed = state.isPeerInformed || event.message.type !== 'ready';
    return { state: { ...state, isPeerInformed }, effects: lateAnswer(state, event.message) };
  }
  if (event.type === 'cancel' || event.type === 'operator-takeover' || isPassing(event)) return stay(state);
  throw impossible(state, event);
}

function inRolledBack(state: In<'rolled-back'>, event: SourceEvent): SourceStep {
  if (event.type === 'epoch-started') return newEpoch(state, event);
  if (event.type === 'link-restored') return { state, effects: abortIfOwed(state) };
  if (event.type === 'message') {
    if (event.message.type === 'running') return twoOwners(state);
    const late = lateAnswer(state, event.message);
    if (event.message.type === 'ready' || state.isPeerInformed) return { state, effects: late };
    const next = { ...state, isPeerInformed: true };
    return { state: next, effects: [...late, journal(next)] };
  }
  if (event.type === 'journal-failed')
    return trouble(state, `the rollback is not journaled: ${event.reason}`);
  if (event.type === 'cancel' || event.type === 'retry' || isPassing(event)) return stay(state);
  if (event.type === 'operator-takeover') return stay(state);
  throw impossible(state, event);
}

function inCompleted(state: In<'completed'>, event: SourceEvent): SourceStep {
  if (event.type === 'message') {
    if (event.message.type === 'running' || event.message.type === 'ready') return stay(state);
    throw unexpected(state, event.message);
  }
  if (event.type === 'journal-failed') return trouble(state, `the end is not journaled: ${event.reason}`);
  if (event.type === 'cancel' || event.type === 'operator-takeover') return tooLate(state);
  if (event.type === 'link-restored' || event.type === 'retry' || isPassing(event)) return stay(state);
  throw impossible(state, event);
}

/** The epoch before was not committed and never will be: that is on record before hello says it. */
function newEpoch(
  state: In<'precopy' | 'rolled-back'>,
  event: Extract<SourceEvent, { type: 'epoch-started' }>,
): SourceStep {
  if (event.epoch <= state.epoch) throw impossible(state, event);
  const next = { phase: 'precopy', epoch: event.epoch, abortedEpoch: state.epoch } as const;
  return { state: next, effects: [journal(next)] };
}

/** Give up before the commit: tell the peer (dropped while the link is cut), resume what we paused. */
function rollBack(
  state: In<'pausing' | 'paused' | 'going-on' | 'offered'>,
  cause: Cause,
  isPeerInformed: boolean,
): SourceStep {
  return resume(state, cause, isPeerInformed, isPeerInformed ? [] : [abort(state, cause)]);
}

/** @param first effects before the resume; where the guest was paused before us, nothing is resumed. */
function resume(
  state: In<'pausing' | 'paused' | 'going-on' | 'offered' | 'revoking' | 'committed'>,
  cause: Cause,
  isPeerInformed: boolean,
  first: readonly SourceEffect[] = [],
): SourceStep {
  const { epoch, abortedEpoch, priorRunState } = state;
  if (priorRunState === 'paused') return rolledBack(state, cause, isPeerInformed, first);
  const next = { phase: 'resuming', epoch, abortedEpoch, priorRunState, cause, isPeerInformed } as const;
  return { state: next, effects: [...first, { type: 'resume-guest' }] };
}

function rolledBack(
  from: SourceState,
  cause: Cause,
  isPeerInformed: boolean,
  first: readonly SourceEffect[] = [],
): SourceStep {
  const state = { phase: 'rolled-back', epoch: from.epoch, cause, isPeerInformed } as const;
  const told = report({ outcome: 'rolled-back', cause });
  return { state, effects: [...first, { type: 'release-guard' }, told, journal(state)] };
}

/** Events that change nothing any more once the outcome is decided or only the peer can decide it. */
function isPassing(event: SourceEvent): boolean {
  return event.type === 'link-lost' || event.type === 'link-restored' || event.type === 'failed';
}
