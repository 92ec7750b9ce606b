/** The handover's steps as a migration waits for them: each ends in the state it is for, or throws why it did not. */
import type { Guest } from '@pageferry/guest';
import type { SourceState } from '@pageferry/handover';
import { ProblemError } from '@pageferry/protocol';
import type { Failure } from './failure.ts';
import { ownershipFailure } from './migration-errors.ts';
import type { HandoverFacts, Ownership } from './ownership.ts';

/** The guest is proven stopped. `onOrder`: from here on it may be. */
export async function pause(
  ownership: Pick<Ownership, 'pause'>,
  guest: Pick<Guest, 'runState'>,
  failure: Failure,
  onOrder: () => void,
): Promise<void> {
  const runState = await failure.unlessFailed(guest.runState());
  onOrder();
  requirePhase(await ownership.pause(runState), 'paused');
}

/** What is between the pause and the commit: an attempt that takes longer has failed. Never ends a committed one. */
export async function within(timeoutMs: number, failure: Failure, work: () => Promise<void>): Promise<void> {
  const timer = setTimeout(() => {
    failure.fail(
      new ProblemError('switchover-timeout', `The guest was paused for ${timeoutMs} ms without a commit`),
    );
  }, timeoutMs);
  try {
    await work();
  } finally {
    clearTimeout(timer);
  }
}

/** The destination is ready and the commit is on record. */
export async function offer(ownership: Ownership, facts: HandoverFacts): Promise<void> {
  await ownership.offer(facts);
  const state = await ownership.until(({ phase }) => phase !== 'offered' && phase !== 'committing');
  if (state.phase !== 'committed' && state.phase !== 'completed') throw ownershipFailure(state);
}

/** The destination has said that the guest runs there. */
export async function awaitRunning(ownership: Ownership): Promise<void> {
  const state = await ownership.until(({ phase }) => phase === 'completed' || phase === 'rolled-back');
  requirePhase(state, 'completed');
}

function requirePhase(state: SourceState, phase: SourceState['phase']): void {
  if (state.phase !== phase) throw ownershipFailure(state);
}
