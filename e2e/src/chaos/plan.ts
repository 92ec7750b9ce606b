/** What a run does, all of it decided by its seed, so that a run that fails can be repeated. */
import type { Tracker } from '@pageferry/protocol';
import type { InitialImage } from '@pageferry/scripts';
import { PATIENCE } from '@pageferry/scripts/harness';
import type { WorkloadOptions } from '../workload.ts';
import { Choices } from './choices.ts';
import { SECOND_FAULTS, type FaultName } from './fault.ts';
import { drawMoment, PRE_SWITCHOVER, type Moment } from './moment.ts';

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

/** When a killed daemon is started again: before a held message goes on, after it, or a while later. */
export type Restart = 'at-once' | 'after-release' | 'late';

export interface ChaosPlan {
  readonly seed: number;
  readonly fault: FaultName;
  /** Absent where there is no fault. */
  readonly moment: Moment | undefined;
  /** Follows the first one by this time. */
  readonly second: { readonly fault: FaultName; readonly afterMs: number } | undefined;
  /** A share for where in a file or a frame, a bit for which of a byte, a number for which stream. */
  readonly aim: { readonly share: number; readonly bit: number; readonly stream: number };
  readonly restart: Restart;
  /** Whether the source's daemon is started first where both were killed. */
  readonly isSourceFirst: boolean;
  /** Whether the migration may go on after a cut, where the daemons know how. */
  readonly mayResume: boolean;
  readonly initial: InitialImage;
  readonly zeros: 'holes' | 'written';
  readonly oldFile: OldFile;
  readonly workload: WorkloadOptions;
  readonly xbzrle: boolean;
  readonly pauseBeforeSwitchover: boolean;
  readonly tracker: Tracker;
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
  /** In their order, each when the migration has come a bit further; only where there is no fault. */
  readonly changes: readonly Change[];
}

/** What the command line says about all runs. */
export interface ChaosOptions {
  /** Drawn from these. */
  readonly faults: readonly FaultName[];
  readonly streams: { readonly least: number; readonly most: number };
  /** With `soft-dirty` the guest maps its memory, and the final scan is left out of half of the runs where it can be. */
  readonly tracker: Tracker['type'];
}

/** The plan of a seed, from 0 to 2^32 - 1. */
export function chaosPlan(seed: number, { faults, streams, tracker }: ChaosOptions): ChaosPlan {
  const random = new Choices(seed);
  const fault = random.of(faults);
  const sizeBytes = random.between(4 * PAGES_PER_MIB, 16 * PAGES_PER_MIB) * 4096;
  const zeroShare = random.of([0, 0.1, 0.5, 0.95]);
  // A round count that is known beforehand is what `round` and `final` are told by.
  const rounds = random.between(1, 3);
  const moment = drawMoment(random, fault, { rounds, bulkBytes: sizeBytes * (1 - zeroShare) });
  const minRounds = moment === undefined ? random.between(0, rounds) : rounds;
  return {
    seed,
    fault,
    moment,
    second: drawSecond(random, moment),
    aim: { share: random.share(), bit: random.between(0, 7), stream: random.between(0, 15) },
    restart: random.of(['at-once', 'after-release', 'late']),
    isSourceFirst: random.isOneOf(2),
    mayResume: random.isOneOf(2),
    initial: { seed: random.between(1, 2 ** 31), sizeBytes, zeroShare },
    zeros: random.of(['holes', 'written']),
    oldFile: drawOldFile(random, fault),
    workload: {
      program: random.of(['both', 'random', 'docs']),
      seed: random.between(1, 2 ** 31),
      ratePerSecond: random.of([2000, 5000, 15_000]) / PATIENCE,
      docsRatePerSecond: random.of([1000, 5000, 20_000]) / PATIENCE,
      zeroShare: random.of([0, 0.1, 0.6]),
      isMapped: tracker === 'soft-dirty',
    },
    tracker: tracker === 'scan' ? { type: 'scan' } : { type: 'soft-dirty', 'final-scan': seed % 2 === 0 },
    xbzrle: !random.isOneOf(10),
    pauseBeforeSwitchover: moment?.place === PRE_SWITCHOVER,
    parameters: {
      'multifd-channels': random.between(streams.least, streams.most),
      'xbzrle-cache-size': cacheSize(random),
      'xbzrle-eviction': random.of(['age', 'newest']),
      'xbzrle-stage': random.of(['after-bulk', 'always']),
      'max-bandwidth': bandwidth(random, sizeBytes),
      'downtime-limit': random.of([5, 30, 300]),
      'min-rounds': minRounds,
      'max-rounds': rounds,
      // Nothing else can find what another program did to the destination's file.
      'destination-reread': random.isOneOf(2) || fault === 'destination-image-truncated',
    },
    cacheCeilingBytes: random.isOneOf(4) ? cacheSize(random) : 64 * MIB,
    changes:
      moment === undefined
        ? Array.from({ length: random.between(0, CHANGES_MAX) }, () => change(random, sizeBytes))
        : [],
  };
}

function drawSecond(random: Choices, moment: Moment | undefined): ChaosPlan['second'] {
  const second = { fault: random.of(SECOND_FAULTS), afterMs: random.of([0, 20, 300, 1500]) };
  return random.isOneOf(4) && moment !== undefined ? second : undefined;
}

/** A full file system is only felt by a file that still has holes. */
function drawOldFile(random: Choices, fault: FaultName): OldFile {
  const any = random.of(['absent', 'other', 'old-copy', 'sparse']);
  const withHoles = random.of(['absent', 'sparse']);
  return fault === 'destination-full' ? withHoles : any;
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
