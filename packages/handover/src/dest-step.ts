// The destination's transitions: destinationStep(state, event) -> { state, effects }. Pure; the model explores this very function.
//
// stateDiagram-v2
//   receiving --> preparing: handover-verified / journal(preparing), prepare-guest
//   receiving --> aborted: abort or failure / journal(aborted), send aborted
//   preparing --> prepared: guest-prepared / journal(prepared), send ready
//   preparing --> destroying: prepare-failed / journal(destroying), destroy-guest
//   prepared --> starting: commit or operator-takeover / journal(starting), start-guest
//   prepared --> running: commit or operator-takeover, paused before / journal(running), send running
//   prepared --> destroying: abort, operator-abort, newer epoch / journal(destroying), destroy-guest
//   starting --> starting: commit or retry after start-unknown / start-guest
//   starting --> running: guest-started / journal(running), send running
//   starting --> destroying: start-refused / journal(destroying), destroy-guest
//   running --> running: commit, query or abort / send running
//   destroying --> aborted: guest-destroyed / journal(aborted), send aborted
//   destroying --> refused: guest-destroyed / journal(refused), send refused
//   aborted --> receiving: newer epoch / journal(receiving) (refused, receiving too; what is prepared ends first)
//
// Each answer is a fact that must outlive us, so it is journaled before it is sent; each irreversible order (start,
// destroy) is journaled before it is given, so that a restarted daemon repeats it and decides nothing anew.
import type { DestinationState, DestinationEvent } from './dest-states.ts';
import { journal, report, send, stay, tooEarly, tooLate, trouble } from './dest-effects.ts';
import type { DestinationEffect, DestinationStep } from './effects.ts';
import { HandoverError } from './errors.ts';
import type { GuestIdentity } from './journal-record.ts';
import { boundedReason } from './messages.ts';

type In<P extends DestinationState['phase']> = Extract<DestinationState, { phase: P }>;

/** The first state of a session's first epoch, and its first record. */
export function beginDestination(epoch: number): DestinationStep {
  const state = { phase: 'receiving', epoch } as const;
  return { state, effects: [journal(state)] };
}

/**
 * One transition. Events are delivered one at a time, each after the effects of the one before (executor.ts).
 * A message of an older epoch is left over from a connection that is gone, and changes nothing.
 * @throws {HandoverError} `impossible-event` (assertion), or a peer's fault; the state is then unchanged.
 */
export function destinationStep(state: DestinationState, event: DestinationEvent): DestinationStep {
  if (event.type === 'message' || event.type === 'handover-verified') {
    if (event.epoch < state.epoch) return stay(state);
    const { phase, epoch } = state;
    if (event.epoch > epoch) {
      throw new HandoverError({ code: 'wrong-epoch', state: phase, expected: epoch, actual: event.epoch });
    }
  }
  if (event.type === 'newer-epoch') checkNewerEpoch(state, event);
  // The daemon checks the phase before it verifies a handover; one that comes again is the source's fault.
  if (event.type === 'handover-verified' && state.phase !== 'receiving') throw unexpected(state, event);
  switch (state.phase) {
    case 'receiving':
      return inReceiving(state, event);
    case 'preparing':
      return inPreparing(state, event);
    case 'prepared':
      return inPrepared(state, event);
    case 'starting':
      return inStarting(state, event);
    case 'running':
      return inRunning(state, event);
    case 'destroying':
      return inDestroying(state, event);
    case 'aborted':
    case 'refused':
      return ended(state, event);
  }
}

/**
 * Whatever this epoch has come to here, the source may have committed it, or ask about it: a newer one follows only if
 * the source's journal says that it was rolled back. After `prepared` has become `aborted` by it, deliver it again.
 */
function checkNewerEpoch(
  { phase, epoch }: DestinationState,
  { epoch: newer, abortedEpoch }: Extract<DestinationEvent, { type: 'newer-epoch' }>,
): void {
  if (newer <= epoch) {
    throw new HandoverError({ code: 'wrong-epoch', state: phase, expected: epoch + 1, actual: newer });
  }
  if (abortedEpoch === null || abortedEpoch < epoch) {
    throw new HandoverError({ code: 'epoch-not-aborted', epoch, abortedEpoch });
  }
}

function inReceiving(state: In<'receiving'>, event: DestinationEvent): DestinationStep {
  if (event.type === 'handover-verified') {
    const next = { phase: 'preparing', epoch: state.epoch, runState: event.runState } as const;
    return { state: next, effects: [journal(next), { type: 'prepare-guest', runState: event.runState }] };
  }
  if (event.type === 'newer-epoch') return receive(event.epoch);
  if (event.type === 'message' && event.message.type === 'abort')
    return abortNow(state, event.message.reason);
  if (event.type === 'operator-abort') return abortNow(state, 'the operator aborted the migration');
  if (event.type === 'operator-takeover') return tooEarly(state);
  if (event.type === 'failed' || event.type === 'journal-failed') return abortNow(state, event.reason);
  if (isPassing(event)) return stay(state);
  throw misplaced(state, event);
}

function inPreparing(state: In<'preparing'>, event: DestinationEvent): DestinationStep {
  if (event.type === 'guest-prepared') {
    const next = { ...state, phase: 'prepared', guest: event.guest } as const;
    return { state: next, effects: [journal(next), send(next, { type: 'ready' })] };
  }
  if (event.type === 'prepare-failed') return destroy(state, null, 'aborted', event.reason);
  if (event.type === 'journal-failed') return abortNow(state, event.reason);
  if (event.type === 'operator-takeover') return tooEarly(state);
  if (isPassing(event)) return stay(state);
  throw misplaced(state, event);
}

/** Here nothing but a commit or an abort counts: the source may be about to commit, or may have committed. */
function inPrepared(state: In<'prepared'>, event: DestinationEvent): DestinationStep {
  if (event.type === 'message') {
    if (event.message.type === 'commit') return commit(state);
    if (event.message.type === 'query') return { state, effects: [send(state, { type: 'ready' })] };
    return destroy(state, state.guest, 'aborted', event.message.reason);
  }
  if (event.type === 'operator-takeover') return commit(state);
  if (event.type === 'operator-abort') {
    return destroy(state, state.guest, 'aborted', 'the operator aborted the migration');
  }
  if (event.type === 'newer-epoch') {
    return destroy(state, state.guest, 'aborted', `epoch ${event.epoch} follows`);
  }
  // The record of `prepared` could not be written, so `ready` was not sent and nothing was promised.
  if (event.type === 'journal-failed') return destroy(state, state.guest, 'aborted', event.reason);
  if (event.type === 'failed' || isPassing(event)) return stay(state);
  throw misplaced(state, event);
}

/** A guest that was paused before is owned from here on, and stays paused. */
function commit(state: In<'prepared'>): DestinationStep {
  const { epoch, guest, runState } = state;
  if (runState === 'paused') return own(epoch, guest, 'paused');
  const next = { phase: 'starting', epoch, guest } as const;
  return { state: next, effects: [journal(next), { type: 'start-guest', guest, isFirstOrder: true }] };
}

function inStarting(state: In<'starting'>, event: DestinationEvent): DestinationStep {
  const { epoch, guest } = state;
  if (event.type === 'guest-started') return own(epoch, guest, 'running');
  if (event.type === 'start-refused') return destroy(state, guest, 'refused', event.reason);
  if (event.type === 'start-unknown') {
    return trouble(state, `the guest does not answer the resume order: ${event.reason}`);
  }
  // The record could not be written, so the order was not given.
  if (event.type === 'journal-failed') {
    return trouble({ phase: 'prepared', epoch, guest, runState: 'running' }, event.reason);
  }
  const isCommit = event.type === 'message' && event.message.type === 'commit';
  if (isCommit || event.type === 'retry' || event.type === 'operator-takeover') {
    return { state, effects: [{ type: 'start-guest', guest, isFirstOrder: false }] };
  }
  if (event.type === 'message' && event.message.type === 'query') return stay(state);
  // Answered, as a query, when it is known what came of the order.
  if (event.type === 'message' || event.type === 'operator-abort') return tooLate(state);
  if (event.type === 'failed' || isPassing(event)) return stay(state);
  throw misplaced(state, event);
}

function inRunning(state: In<'running'>, event: DestinationEvent): DestinationStep {
  if (event.type === 'message') {
    const answer = send(state, { type: 'running' });
    // After a takeover, or left over from a connection that is gone: the source must hear that it is not so.
    const { effects } = event.message.type === 'abort' ? tooLate(state) : stay(state);
    return { state, effects: [answer, ...effects] };
  }
  if (event.type === 'journal-failed') return notJournaled(state, event.reason);
  if (event.type === 'operator-takeover') return stay(state);
  if (event.type === 'operator-abort') return tooLate(state);
  if (event.type === 'failed' || isPassing(event)) return stay(state);
  throw misplaced(state, event);
}

/**
 * A started guest is known by the record `starting`, whose recovery comes to the same answer. A paused one is
 * known by `prepared` only, which an operator could still abort: it is not owned until that is on record.
 */
function notJournaled(state: In<'running'>, reason: string): DestinationStep {
  if (state.runState === 'paused') return trouble({ ...state, phase: 'prepared' }, reason);
  const told = report({ outcome: 'trouble', reason });
  return { state, effects: [send(state, { type: 'running' }), told] };
}

function inDestroying(state: In<'destroying'>, event: DestinationEvent): DestinationStep {
  const { epoch, answer } = state;
  const reason = boundedReason(state.reason);
  if (event.type === 'guest-destroyed')
    return answer === 'aborted' ? abortNow(state, reason) : refuse(epoch, reason);
  if (event.type === 'destroy-failed' || event.type === 'journal-failed') {
    return trouble(state, `the guest is not proven dead: ${event.reason}`);
  }
  // Whoever asks again, or begins anew, needs the guest dead first.
  if (event.type === 'message' || event.type === 'newer-epoch')
    return destroy(state, state.guest, answer, reason);
  if (event.type === 'retry' || event.type === 'operator-abort') {
    return destroy(state, state.guest, answer, reason);
  }
  if (event.type === 'operator-takeover') return tooLate(state);
  if (event.type === 'failed' || isPassing(event)) return stay(state);
  throw misplaced(state, event);
}

function ended(state: In<'aborted' | 'refused'>, event: DestinationEvent): DestinationStep {
  if (event.type === 'newer-epoch') return receive(event.epoch);
  if (event.type === 'message') return { state, effects: [answerOf(state)] };
  // Not on record, so not answered: one more step of ending, which `retry` takes again.
  if (event.type === 'journal-failed') {
    const { phase: answer, epoch, reason } = state;
    return trouble({ phase: 'destroying', epoch, guest: null, answer, reason }, event.reason);
  }
  if (event.type === 'operator-takeover') return tooLate(state);
  if (event.type === 'failed' || event.type === 'operator-abort' || isPassing(event)) return stay(state);
  throw misplaced(state, event);
}

function receive(epoch: number): DestinationStep {
  const state = { phase: 'receiving', epoch } as const;
  return { state, effects: [journal(state)] };
}

function own(epoch: number, guest: GuestIdentity, runState: In<'running'>['runState']): DestinationStep {
  const state = { phase: 'running', epoch, runState, guest } as const;
  return {
    state,
    effects: [journal(state), send(state, { type: 'running' }), report({ outcome: 'completed' })],
  };
}

/** Only for a guest to which no resume order was sent, or which proved that it never executed. */
function destroy(
  from: In<'preparing' | 'prepared' | 'starting' | 'destroying'>,
  guest: GuestIdentity | null,
  answer: 'aborted' | 'refused',
  reason: string,
): DestinationStep {
  const state = {
    phase: 'destroying',
    epoch: from.epoch,
    guest,
    answer,
    reason: boundedReason(reason),
  } as const;
  return { state, effects: [journal(state), { type: 'destroy-guest', guest }] };
}

/** No guest is left here. */
function abortNow(from: DestinationState, reason: string): DestinationStep {
  const state = { phase: 'aborted', epoch: from.epoch, reason: boundedReason(reason) } as const;
  return {
    state,
    effects: [journal(state), answerOf(state), report({ outcome: 'aborted', reason: state.reason })],
  };
}

function refuse(epoch: number, reason: string): DestinationStep {
  const state = { phase: 'refused', epoch, reason } as const;
  return { state, effects: [journal(state), answerOf(state), report({ outcome: 'refused', reason })] };
}

function answerOf(state: In<'aborted' | 'refused'>): DestinationEffect {
  return send(state, { type: state.phase, reason: state.reason });
}

/** The source speaks first after a reconnect; a link by itself decides nothing here. */
function isPassing(event: DestinationEvent): boolean {
  return event.type === 'link-lost' || event.type === 'link-restored' || event.type === 'retry';
}

/** A message, or a newer epoch, that this state has no answer to is the source's fault; any other event is ours. */
function misplaced(state: DestinationState, event: DestinationEvent): HandoverError {
  if (event.type === 'message' || event.type === 'newer-epoch') return unexpected(state, event);
  return new HandoverError({ code: 'impossible-event', state: state.phase, event: event.type });
}

function unexpected(
  state: DestinationState,
  event: Extract<DestinationEvent, { type: 'message' | 'newer-epoch' | 'handover-verified' }>,
): HandoverError {
  const message = event.type === 'message' ? event.message.type : event.type;
  return new HandoverError({ code: 'unexpected-message', state: state.phase, message });
}
