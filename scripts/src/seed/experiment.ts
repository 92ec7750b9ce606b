// One migration of the experiment: a fresh image and guest, the rule on or off. The guest is the program of QEMU's
// docs/xbzrle.txt in the middle of the image, and a writer of uniform random pages over the rest.
import { spawnSync } from 'node:child_process';
import type { MigrationStatus } from '@pageferry/protocol';
import { requestFor, withDaemons } from '../bench/setting.ts';
import { makeImage, startGuest } from '../harness/guest.ts';
import type { GuestPlan } from '../harness/guest.ts';
import { arm, awaitCompleted } from '../harness/migration.ts';
import { PAGE_BYTES } from '../workload/initial-image.ts';
import type { SeedOptions } from './options.ts';

export const CACHE_BYTES = 64 * 2 ** 20;
export const ZERO_SHARE = 0.42;
export const RANDOM_PAGES_PER_SECOND = 500;
/**
 * The real program makes a pass over its 4,096 pages in less than a millisecond. What a migration sees of it is that
 * every round finds all of them changed, in four bytes each, however many passes were made; ten passes a second are
 * enough for that, and leave the machine's cores to the migration.
 */
export const DOCS_PAGES_PER_SECOND = 40_960;
const POLL_MS = 100;

export interface Variant {
  /** after-bulk is with the rule (+), always without (-). */
  readonly stage: 'after-bulk' | 'always';
  readonly eviction: 'newest' | 'age';
}

/** Resolves with the status after completion; throws if the images differ then. */
export function migrateOnce(options: SeedOptions, { stage, eviction }: Variant): Promise<MigrationStatus> {
  return withDaemons(2 * options.sizeBytes, async ({ workspace, daemons }) => {
    const from = workspace.file('a.ram');
    const to = workspace.file('b.ram');
    const guest = planOf(options);
    await makeImage(from, guest.initial);
    const child = await startGuest(from, null, guest);
    const parameters = {
      'max-bandwidth': options.maxBandwidth,
      'xbzrle-cache-size': CACHE_BYTES,
      'xbzrle-stage': stage,
      'xbzrle-eviction': eviction,
      'min-rounds': options.roundCount,
      'max-rounds': options.roundCount,
      'on-no-convergence': 'switchover',
    } as const;
    const body = await arm(daemons, requestFor(from, to, child.pid, parameters));
    await daemons.source.api.migrate(body);
    const status = await awaitCompleted(daemons, POLL_MS);
    if (spawnSync('cmp', [from, to]).status !== 0) throw new Error('the images differ after the migration');
    return status;
  });
}

function planOf({ sizeBytes }: SeedOptions): GuestPlan {
  return {
    initial: { seed: 1, sizeBytes, zeroShare: ZERO_SHARE },
    plan: {
      program: 'both',
      seed: 2,
      range: { first: 0, count: sizeBytes / PAGE_BYTES },
      zeroShare: 0,
    },
    ratePerSecond: RANDOM_PAGES_PER_SECOND,
    docsRatePerSecond: DOCS_PAGES_PER_SECOND,
  };
}
