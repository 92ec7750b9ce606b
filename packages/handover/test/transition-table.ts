// Every state × every event of both sides, as lines of text: what docs/PROTOCOL.md shows and transitions.test.ts checks.
// `-`: nothing happens. `!`: the daemon's mistake (assertion). `?`: the peer's fault. Otherwise: effects > next state.
import type { DestinationEvent, DestinationState } from '../src/dest-states.ts';
import { destinationStep } from '../src/dest-step.ts';
import type { DestinationEffect, SourceEffect, Step } from '../src/effects.ts';
import { HandoverError } from '../src/errors.ts';
import type { Cause } from '../src/messages.ts';
import type { SourceEvent, SourceState } from '../src/source-states.ts';
import { sourceStep } from '../src/source-step.ts';

const cause: Cause = { code: 'failed', reason: 'r' };
const switchover = { epoch: 2, abortedEpoch: 1, priorRunState: 'running' } as const;
const guest = { type: 'none' };

const sourceStates: readonly SourceState[] = [
  { phase: 'precopy', epoch: 2, abortedEpoch: 1 },
  { phase: 'pausing', ...switchover },
  { phase: 'paused', ...switchover },
  { phase: 'going-on', ...switchover },
  { phase: 'offered', ...switchover },
  { phase: 'committing', ...switchover },
  { phase: 'revoking', ...switchover, cause },
  { phase: 'committed', ...switchover },
  { phase: 'resuming', ...switchover, cause, isPeerInformed: false },
  { phase: 'rolled-back', epoch: 2, cause, isPeerInformed: false },
  { phase: 'completed', epoch: 2, abortedEpoch: 1 },
];

const sourceEvents: readonly SourceEvent[] = [
  { type: 'begin-switchover', priorRunState: 'running' },
  { type: 'guard-failed', reason: 'r' },
  { type: 'guest-paused' },
  { type: 'pause-failed', reason: 'r' },
  { type: 'final-round-done' },
  { type: 'end-pulse' },
  { type: 'journaled' },
  { type: 'journal-failed', reason: 'r' },
  { type: 'guest-resumed' },
  { type: 'resume-failed', reason: 'r' },
  { type: 'guest-gone', reason: 'r' },
  { type: 'message', epoch: 2, message: { type: 'ready' } },
  { type: 'message', epoch: 2, message: { type: 'running' } },
  { type: 'message', epoch: 2, message: { type: 'refused', reason: 'r' } },
  { type: 'message', epoch: 2, message: { type: 'aborted', reason: 'r' } },
  { type: 'message', epoch: 1, message: { type: 'running' } },
  { type: 'message', epoch: 3, message: { type: 'running' } },
  { type: 'link-lost', reason: 'r' },
  { type: 'link-restored' },
  { type: 'cancel' },
  { type: 'operator-takeover' },
  { type: 'failed', reason: 'r' },
  { type: 'retry' },
  { type: 'epoch-started', epoch: 3 },
];

const destinationStates: readonly DestinationState[] = [
  { phase: 'receiving', epoch: 2 },
  { phase: 'preparing', epoch: 2, runState: 'running' },
  { phase: 'prepared', epoch: 2, runState: 'running', guest },
  { phase: 'starting', epoch: 2, guest },
  { phase: 'running', epoch: 2, runState: 'running', guest },
  { phase: 'destroying', epoch: 2, guest, answer: 'aborted', reason: 'r' },
  { phase: 'aborted', epoch: 2, reason: 'r' },
  { phase: 'refused', epoch: 2, reason: 'r' },
];

const destinationEvents: readonly DestinationEvent[] = [
  { type: 'handover-verified', epoch: 2, runState: 'running' },
  { type: 'guest-prepared', guest },
  { type: 'prepare-failed', reason: 'r' },
  { type: 'guest-started' },
  { type: 'start-refused', reason: 'r' },
  { type: 'start-unknown', reason: 'r' },
  { type: 'guest-destroyed' },
  { type: 'destroy-failed', reason: 'r' },
  { type: 'journal-failed', reason: 'r' },
  { type: 'message', epoch: 2, message: { type: 'commit' } },
  { type: 'message', epoch: 2, message: { type: 'abort', reason: 'r' } },
  { type: 'message', epoch: 2, message: { type: 'query' } },
  { type: 'message', epoch: 1, message: { type: 'commit' } },
  { type: 'message', epoch: 3, message: { type: 'commit' } },
  { type: 'newer-epoch', epoch: 3, abortedEpoch: 2 },
  { type: 'newer-epoch', epoch: 3, abortedEpoch: 1 },
  { type: 'newer-epoch', epoch: 2, abortedEpoch: 2 },
  { type: 'link-lost', reason: 'r' },
  { type: 'link-restored' },
  { type: 'operator-abort' },
  { type: 'operator-takeover' },
  { type: 'failed', reason: 'r' },
  { type: 'retry' },
];

/** `state × event: result`, one line each. */
export function sourceTable(): readonly string[] {
  return sourceStates.flatMap((state) =>
    sourceEvents.map(
      (event) => `${state.phase} | ${nameOf(event)} | ${result(state, () => sourceStep(state, event))}`,
    ),
  );
}

/** `state × event: result`, one line each. */
export function destinationTable(): readonly string[] {
  return destinationStates.flatMap((state) =>
    destinationEvents.map(
      (event) => `${state.phase} | ${nameOf(event)} | ${result(state, () => destinationStep(state, event))}`,
    ),
  );
}

function nameOf(event: SourceEvent | DestinationEvent): string {
  if (event.type === 'newer-epoch') {
    if (event.epoch === 2) return 'newer-epoch (not newer)';
    return event.abortedEpoch === 2 ? 'newer-epoch' : 'newer-epoch (not aborted)';
  }
  if (event.type !== 'message') return event.type;
  if (event.epoch === 1) return 'older epoch';
  return event.epoch === 3 ? 'message of a newer epoch' : `"${event.message.type}"`;
}

function result<S extends { readonly phase: string }>(
  state: S,
  step: () => Step<S, SourceEffect | DestinationEffect>,
): string {
  try {
    const { state: next, effects } = step();
    const done = effects.map(effectName).join(', ');
    const change = next.phase === state.phase ? '' : next.phase;
    if (change === '') return done === '' ? '-' : done;
    return done === '' ? `> ${change}` : `${done} > ${change}`;
  } catch (error) {
    if (!(error instanceof HandoverError)) throw error;
    return error.isPeerFault ? '?' : '!';
  }
}

function effectName(effect: SourceEffect | DestinationEffect): string {
  if (effect.type === 'journal') return `journal(${effect.record.phase}${effect.sync ? ', sync' : ''})`;
  if (effect.type === 'send') return `send "${effect.message.type}"`;
  if (effect.type === 'report') return `report ${effect.report.outcome}`;
  return effect.type;
}
