// What an operator's takeover rests on, and no rule can check: each word that is not so, and what follows from it.
import { lossAndCut, oneCut, oneFailure } from './mutant.ts';
import type { Rules } from './rules.ts';
import type { Budget } from './world.ts';

interface WrongWord {
  readonly condition: string;
  readonly rules: Partial<Rules>;
  readonly budget: Budget;
  /** The rule of check.ts that is broken. */
  readonly broken: string;
}

export const wrongWords: readonly WrongWord[] = [
  {
    condition: 'a takeover at the destination needs the source fenced',
    rules: { isSourceFenced: false },
    budget: oneCut,
    broken: 'two guests run',
  },
  {
    condition: 'a takeover at the source needs the destination fenced',
    rules: { isDestinationFenced: false },
    budget: oneFailure,
    broken: 'two guests run',
  },
  {
    condition: 'a takeover at the destination needs a guest that did not go on at the source',
    rules: { isMemoryChecked: false },
    budget: lossAndCut,
    broken: 'the guest starts on memory that was not scanned since the pause',
  },
];
