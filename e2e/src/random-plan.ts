/** What a randomised run does, all of it decided by its seed, so that a run that fails can be repeated. */
import { mix, type InitialImage } from '@pageferry/scripts';
import type { WorkloadOptions } from './workload.ts';

const MIB = 2 ** 20;
const PAGES_PER_MIB = 256;
const CHANGES_MAX = 4;

/** Something that an operator does while pages move. */
export type Change =
  | { readonly type: 'cache-size'; readonly side: 'source' | 'destination'; readonly bytes: number }
  | { readonly type: 'max-bandwidth'; readonly bytesPerSecond: number }
  | { readonly type: 'downtime-limit'; readonly ms: number };

/** What is at the destination's path: nothing, other bytes, an old copy, a file of holes. */
export type OldFile = 'absent' | 'other' | 'old-copy' | 'sparse';

export interface RandomPlan {
  readonly seed: number;
  readonly initial: InitialImage;
  readonly zeros: 'holes' | 'written';
  readonly oldFile: OldFile;
  readonly workload: WorkloadOptions;
  readonly xbzrle: boolean;
  readonly parameters: {
    readonly 'multifd-channels': number;
    readonly 'xbzrle-cache-size': number;
    readonly 'xbzrle-eviction': 'age' | 'newest';
    readonly 'xbzrle-stage': 'after-bulk' | 'always';
    readonly 'max-bandwidth': number;
    readonly 'downtime-limit': number;
    readonly 'min-rounds': number;
    readonly 'max-rounds': number;
    readonly 'destination-reread': boolean;
  };
  readonly cacheCeilingBytes: number;
  /** In their order, each when the migration has come a bit further. */
  readonly changes: readonly Change[];
  /** Cancelled when it has come this many bits further, then started anew. Undefined: not cancelled. */
  readonly cancelAfter: number | undefined;
}

/** The plan of a seed, from 0 to 2^32 - 1. */
export function randomPlan(seed: number): RandomPlan {
  const random = new Choices(seed);
  const pageCount = random.between(8 * PAGES_PER_MIB, 32 * PAGES_PER_MIB);
  const sizeBytes = pageCount * 4096;
  const minRounds = random.between(0, 4);
  return {
    seed,
    initial: { seed: random.between(1, 2 ** 31), sizeBytes, zeroShare: random.of([0, 0.1, 0.5, 0.95]) },
    zeros: random.of(['holes', 'written']),
    oldFile: random.of(['absent', 'other', 'old-copy', 'sparse']),
    workload: {
      program: random.of(['both', 'random', 'docs']),
      seed: random.between(1, 2 ** 31),
      ratePerSecond: random.of([2000, 5000, 15_000]),
      docsRatePerSecond: random.of([1000, 5000, 20_000]),
      zeroShare: random.of([0, 0.1, 0.6]),
    },
    xbzrle: !random.isOneOf(10),
    parameters: {
      'multifd-channels': random.between(1, 3),
      'xbzrle-cache-size': cacheSize(random),
      'xbzrle-eviction': random.of(['age', 'newest']),
      'xbzrle-stage': random.of(['after-bulk', 'always']),
      'max-bandwidth': bandwidth(random, sizeBytes),
      'downtime-limit': random.of([5, 30, 300]),
      'min-rounds': minRounds,
      'max-rounds': minRounds + random.between(1, 3),
      'destination-reread': random.isOneOf(2),
    },
    cacheCeilingBytes: random.isOneOf(4) ? cacheSize(random) : 64 * MIB,
    changes: Array.from({ length: random.between(0, CHANGES_MAX) }, () => change(random, sizeBytes)),
    cancelAfter: random.isOneOf(5) ? random.between(0, 6) : undefined,
  };
}

function change(random: Choices, sizeBytes: number): Change {
  switch (random.of(['cache-size', 'cache-size', 'max-bandwidth', 'downtime-limit'])) {
    case 'cache-size':
      return { type: 'cache-size', side: random.of(['source', 'destination']), bytes: cacheSize(random) };
    case 'max-bandwidth':
      return { type: 'max-bandwidth', bytesPerSecond: bandwidth(random, sizeBytes) };
    case 'downtime-limit':
      return { type: 'downtime-limit', ms: random.of([1, 50, 500]) };
  }
}

/** Half of them from 64 KiB, where nearly everything collides, half of them up to 64 MiB, where everything fits. */
function cacheSize(random: Choices): number {
  return 2 ** (random.isOneOf(2) ? random.between(16, 22) : random.between(23, 26));
}

/** No limit, or one by which the whole image takes 0.1 to 0.5 s. */
function bandwidth(random: Choices, sizeBytes: number): number {
  return random.isOneOf(3) ? 0 : Math.round((sizeBytes * 10) / random.between(1, 5));
}

/** A sequence of choices that follows from the seed. */
class Choices {
  readonly #seed: number;
  #count = 0;

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
}
