// How a session goes from one epoch to the next: what the daemons ask before, and do at, a hello.
// Invariant: an epoch is replaced only by one whose hello names it, or a later one, as rolled back in the source's
// journal. So every older epoch that a destination has gone past is over there, and `aborted` is a true answer for it.
//
// Source, to go on with a newer epoch: `mayStartEpoch`, end the old engine, `journal.useSession` with the new one,
// deliver `epoch-started` (epoch + 1; every attempt to connect takes its own), then hello `resume` with `helloEpochs`.
// Where the state after it is not `precopy`, the record could not be written: nothing is sent. A hello `resolve` takes
// `helloEpochs` too: it may be the first that the destination hears of that epoch.
//
// Destination, at a proven hello: `judgeHello`, then
//   older  answer `aborted` for that epoch, whatever it says (as for a session that is over); change nothing.
//   same   resolve: welcome with the phase; resume: reject, the next attempt has a newer epoch.
//   newer  end the engine of the old epoch, `journal.useSession` with the new one (resume) or null (resolve), then
//          `enterEpoch`. In `receiving` with that epoch: welcome. Else: reject, as something that may be tried again.
import type { DestinationEvent, DestinationState } from './dest-states.ts';
import { destinationStep } from './dest-step.ts';
import type { SourceRecord } from './journal-record.ts';
import type { SourceState } from './source-states.ts';

/** What every hello of the source says of its epochs; null is left out. */
export interface HelloEpochs {
  readonly epoch: number;
  readonly abortedEpoch: number | null;
}

/** What every hello of the source says: whether it starts, resumes or resolves. */
export function helloEpochs(state: SourceState): HelloEpochs {
  const { phase, epoch } = state;
  return { epoch, abortedEpoch: phase === 'rolled-back' ? epoch : state.abortedEpoch };
}

/** Whether `epoch-started` may be delivered: nothing of this epoch was committed, and the guest is not paused by us. */
export function mayStartEpoch({ phase }: SourceState | SourceRecord): boolean {
  return phase === 'precopy' || phase === 'rolled-back';
}

/**
 * Whether a restarted source may go on by itself, where it still has the request: it forgets that before it tells anybody
 * of an end. What the operator ended is over whether that was told or not.
 */
export function mayResumeAfterRestart(state: SourceState | SourceRecord): boolean {
  if (state.phase === 'precopy') return true;
  if (state.phase !== 'rolled-back') return false;
  const { code } = state.cause;
  return code !== 'cancelled' && code !== 'taken-over' && code !== 'refused';
}

/**
 * What a proven hello means for the destination's state; changes nothing.
 * @throws {HandoverError} a peer's fault: newer, but this epoch is not over (`epoch-not-aborted`), or the guest was
 * started here already (`unexpected-message`).
 */
export function judgeHello(state: DestinationState, hello: HelloEpochs): 'older' | 'same' | 'newer' {
  if (hello.epoch < state.epoch) return 'older';
  if (hello.epoch === state.epoch) return 'same';
  destinationStep(state, { type: 'newer-epoch', ...hello });
  return 'newer';
}

/**
 * Takes a newer epoch: a guest that was prepared for the old one is made dead first. `deliver` is the executor's.
 * @returns the state, which is `receiving` with that epoch unless the guest could not be made dead, or the journal not
 * be written; both are tried again with the next hello.
 * @throws {HandoverError} as judgeHello
 */
export async function enterEpoch(
  deliver: (event: DestinationEvent) => Promise<DestinationState>,
  hello: HelloEpochs,
): Promise<DestinationState> {
  const event = { type: 'newer-epoch', ...hello } as const;
  const state = await deliver(event);
  return state.epoch < hello.epoch && (state.phase === 'aborted' || state.phase === 'refused')
    ? deliver(event)
    : state;
}
