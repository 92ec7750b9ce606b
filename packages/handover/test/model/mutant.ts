// One guard condition taken away: the real transition function, wrapped so that one condition is gone. The model must
// find what breaks without it; a mutant that survives is a condition that nothing needs, or a model that is blind.
import type { Rules } from './rules.ts';
import type { Budget, World } from './world.ts';

export interface Mutant {
  /** The condition, as it holds in the real rules. */
  readonly condition: string;
  readonly rules: Partial<Rules>;
  readonly budget: Budget;
  readonly prior?: 'paused';
  /** A reachable world to begin at, where the way to it takes many steps, or one with something more that may happen. */
  readonly start?: Partial<World>;
}

export const oneCrash = { crashes: 1, cuts: 0, failures: 0, losses: 0 };
export const oneCut = { crashes: 0, cuts: 1, failures: 0, losses: 0 };
export const oneFailure = { crashes: 0, cuts: 0, failures: 1, losses: 0 };
export const twoFailures = { crashes: 0, cuts: 0, failures: 2, losses: 0 };
export const crashAndCut = { crashes: 1, cuts: 1, failures: 0, losses: 0 };
export const cutAndFailure = { crashes: 0, cuts: 1, failures: 1, losses: 0 };
export const crashAndFailure = { crashes: 1, cuts: 0, failures: 1, losses: 0 };
export const oneLoss = { crashes: 0, cuts: 0, failures: 0, losses: 1 };
export const lossAndCrash = { crashes: 1, cuts: 0, failures: 0, losses: 1 };
export const lossAndCut = { crashes: 0, cuts: 1, failures: 0, losses: 1 };
