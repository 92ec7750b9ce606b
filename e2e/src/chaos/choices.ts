/** A sequence of choices that follows from a seed alone: the same calls give the same choices. */
import { mix } from '@pageferry/scripts';

export class Choices {
  readonly #seed: number;
  #count = 0;

  /** From 0 to 2^32 - 1. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Both ends included. */
  between(least: number, most: number): number {
    this.#count += 1;
    return least + (mix(this.#seed, this.#count) % (most - least + 1));
  }

  of<const T>(choices: readonly T[]): T {
    const choice = choices[this.between(0, choices.length - 1)];
    if (choice === undefined) throw new TypeError('there is nothing to choose from');
    return choice;
  }

  /** True once in so many times. */
  isOneOf(count: number): boolean {
    return this.between(1, count) === 1;
  }

  /** From 0 to 1, 1 excluded. */
  share(): number {
    return this.between(0, 999) / 1000;
  }
}
