/**
 * Brings together what the source says of a round (its roots, on the control connection) and what the engine has
 * applied of it (on the data connections): either may come first.
 */
import type { RoundApplied } from './page-engine.ts';

export class AppliedRounds {
  #applied: RoundApplied | undefined;
  #waiting: { readonly round: number; readonly resolve: (applied: RoundApplied) => void } | undefined;

  /** The engine has applied a whole round. */
  applied(round: RoundApplied): void {
    this.#applied = round;
    if (this.#waiting?.round !== round.round) return;
    const { resolve } = this.#waiting;
    this.#waiting = undefined;
    resolve(round);
  }

  /** Resolves when a round is applied. The source waits for each answer, so at most one round is waited for. */
  async until(round: number): Promise<RoundApplied> {
    if (this.#applied?.round === round) return this.#applied;
    return new Promise((resolve) => {
      this.#waiting = { round, resolve };
    });
  }
}

/** Whether both sides have the same roots of the same blocks. */
export function areSameRoots(ours: readonly Uint8Array[], theirs: readonly Uint8Array[]): boolean {
  return (
    ours.length === theirs.length &&
    ours.every((root, index) => Buffer.compare(root, theirs[index] ?? new Uint8Array(0)) === 0)
  );
}
