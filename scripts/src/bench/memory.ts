// Anonymous memory (RssAnon) of both engines at the end of every round, one stream, while a guest writes: a whole image,
// and a sparse one of 8 GiB with 16 MiB of data. Mapped images and the page cache are not the engines' own.
import { rmSync } from 'node:fs';
import type { MigrationStatus } from '@pageferry/protocol';
import { makeImage, startGuest } from '../harness/guest.ts';
import type { GuestPlan } from '../harness/guest.ts';
import { arm, awaitCompleted } from '../harness/migration.ts';
import { PAGE_BYTES } from '../workload/initial-image.ts';
import type { BenchOptions } from './options.ts';
import { formatTable, formatTarget } from './figures.ts';
import { requestFor, withDaemons } from './setting.ts';

const MIB = 2 ** 20;
const CACHE_BYTES = 64 * MIB;
/** Allowed: a base, the cache at the source, and so much for each page of the image. */
const BASE_BYTES = 150 * MIB;
const BYTES_A_PAGE = 24;
const POLL_MS = 50;
const MIN_ROUNDS = 5;
const SPARSE = { sizeBytes: 8 * 2 ** 30, dataBytes: 16 * MIB };

interface Case {
  readonly name: string;
  readonly sizeBytes: number;
  /** Of the image at the beginning. */
  readonly dataBytes: number;
  /** Pages that the guest writes to, from the first on. */
  readonly guestPages: number;
}

/** Prints a table for each image; answers whether the targets are met. */
export async function benchMemory({ sizeBytes }: BenchOptions): Promise<boolean> {
  const cases = [
    { name: 'no zero pages', sizeBytes, dataBytes: sizeBytes, guestPages: sizeBytes / PAGE_BYTES },
    { name: 'sparse', ...SPARSE, guestPages: SPARSE.dataBytes / PAGE_BYTES },
  ];
  const results: boolean[] = [];
  for (const one of cases) results.push(await measure(one));
  return results.every(Boolean);
}

async function measure(image: Case): Promise<boolean> {
  const neededBytes = 2 * Math.min(image.sizeBytes, 4 * image.dataBytes);
  return withDaemons(neededBytes, async ({ workspace, daemons }) => {
    const from = workspace.file('a.ram');
    const to = workspace.file('b.ram');
    const guest = planOf(image);
    await makeImage(from, guest.initial);
    const child = await startGuest(from, null, guest);
    const body = await arm(
      daemons,
      requestFor(from, to, child.pid, {
        'xbzrle-cache-size': CACHE_BYTES,
        'min-rounds': MIN_ROUNDS,
        'on-no-convergence': 'switchover',
      }),
    );
    await daemons.source.api.migrate(body);
    const source = await awaitCompleted(daemons, POLL_MS);
    const destination = await daemons.destination.api.status();
    rmSync(to);
    return report(image, source, destination);
  });
}

function planOf({ sizeBytes, dataBytes, guestPages }: Case): GuestPlan {
  return {
    initial: { seed: 1, sizeBytes, zeroShare: 1 - dataBytes / sizeBytes },
    plan: { program: 'both', seed: 2, range: { first: 0, count: guestPages }, zeroShare: 0.1 },
    ratePerSecond: 2000,
    docsRatePerSecond: 2000,
  };
}

function report(image: Case, source: MigrationStatus, destination: MigrationStatus): boolean {
  const pagesBytes = (image.sizeBytes / PAGE_BYTES) * BYTES_A_PAGE;
  const limits = { source: BASE_BYTES + CACHE_BYTES + pagesBytes, destination: BASE_BYTES + pagesBytes };
  const mib = (bytes: number) => (bytes / MIB).toFixed(1);
  const ours = rssOf(source);
  const theirs = rssOf(destination);
  const rows = ours.map((bytes, round) => [String(round), mib(bytes), mib(theirs[round] ?? NaN)]);
  process.stdout.write(
    `memory: RssAnon of the engines at the end of each round, ${image.sizeBytes / MIB} MiB (${image.name}, ` +
      `${image.dataBytes / MIB} MiB of data), cache ${CACHE_BYTES / MIB} MiB, one stream, MiB\n` +
      formatTable([['round', 'source', 'destination'], ...rows]),
  );
  const targets = [
    { side: 'source', bytes: Math.max(...ours), limit: limits.source },
    { side: 'destination', bytes: Math.max(...theirs), limit: limits.destination },
  ].map(({ side, bytes, limit }) => ({
    text: `${side} below ${mib(limit)} MiB: ${mib(bytes)} MiB at most`,
    isMet: Number.isFinite(bytes) && bytes < limit,
  }));
  for (const target of targets) process.stdout.write(formatTarget(target));
  return targets.every(({ isMet }) => isMet);
}

/** NaN where a side reported nothing, which fails the target. */
function rssOf({ pageferry }: MigrationStatus): readonly number[] {
  return pageferry.rounds.map((round) => round['rss-anon'] ?? NaN);
}
