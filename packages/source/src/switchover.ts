/** The handover's steps as a migration waits for them: each ends in the state it is for, or throws why it did not. */
import type { RunState, SourceState } from '@pageferry/handover';
import { ProblemError } from '@pageferry/protocol';
import type { Failure } from './failure.ts';
import { ownershipFailure } from './migration-errors.ts';
import type { HandoverFacts, Ownership } from './ownership.ts';

/** The guest is proven stopped. */
export async function pause(ownership: Ownership, runState: RunState): Promise<void> {
  requirePhase(await ownership.pause(runState), 'paused');
}

/** The destination is ready and the commit is on record; before that, it takes `timeoutMs` at most. */
export async function offer(
  ownership: Ownership,
  facts: HandoverFacts,
  timeoutMs: number,
  failure: Failure,
): Promise<void> {
  const timer = setTimeout(() => {
    failure.fail(
      new ProblemError(
        'switchover-timeout',
        `The destination was not ready within ${timeoutMs} ms of the handover`,
      ),
    );
  }, timeoutMs);
  try {
    await ownership.offer(facts);
    const state = await ownership.until(({ phase }) => phase !== 'offered' && phase !== 'committing');
    if (state.phase !== 'committed' && state.phase !== 'completed') throw ownershipFailure(state);
  } finally {
    clearTimeout(timer);
  }
}

/** The destination has said that the guest runs there. */
export async function awaitRunning(ownership: Ownership): Promise<void> {
  const state = await ownership.until(({ phase }) => phase === 'completed' || phase === 'rolled-back');
  requirePhase(state, 'completed');
}

function requirePhase(state: SourceState, phase: SourceState['phase']): void {
  if (state.phase !== phase) throw ownershipFailure(state);
}
