// One image of incompressible pages into a new file, by Pageferry and by what a user would take instead, in turn. Nobody
// writes: once with the image open for writing, as by an idle guest, so that all of it is scanned again at the end; once
// with a file at rest. Every contestant allocates the new file's pages; memory is warmed before each run; ratios are of pairs.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import type { MigrateRequest } from '../harness/api.ts';
import { makeImage } from '../harness/guest.ts';
import { arm, awaitCompleted } from '../harness/migration.ts';
import type { Daemons } from '../harness/migration.ts';
import { coreRoundTripNs } from './core-distance.ts';
import type { BenchOptions } from './options.ts';
import { formatTable, formatTarget, median } from './figures.ts';
import { requestFor, warmMemory, withDaemons } from './setting.ts';

/** Questions take processor from both engines (ARCHITECTURE.md, What bounds the bulk stage). */
const BULK_POLL_MS = 100;
/** After the bulk stage: how much later than it came the end is noticed. */
const POLL_MS = 5;
const WORST_RATIO = 2;
const BASE = 'cp';
const IDLE = 'pageferry, POST /migrate to completed';
const AT_REST = 'pageferry, a file that nobody has open, total-time';

/** Milliseconds by contestant, one value a pair. */
type Times = Map<string, number[]>;

const RIVALS: readonly { readonly name: string; readonly needs: string; readonly script: string }[] = [
  { name: BASE, needs: 'cp', script: 'cp "$1" "$2"' },
  { name: 'rsync --whole-file', needs: 'rsync', script: 'rsync --whole-file "$1" "$2"' },
  { name: 'zstd -1 | zstd -d', needs: 'zstd', script: 'zstd -q -1 -c "$1" | zstd -q -dc >"$2"' },
];

/** Prints a table; answers whether the target is met. */
export async function benchTransfer({ sizeBytes, pairCount }: BenchOptions): Promise<boolean> {
  const times: Times = new Map();
  const distances: number[] = [];
  await withDaemons(3 * sizeBytes, async ({ workspace, daemons }) => {
    const from = workspace.file('a.ram');
    const to = workspace.file('b.ram');
    await makeImage(from, { seed: 1, sizeBytes, zeroShare: 0 });
    const rivals = RIVALS.filter(({ needs }) => isInstalled(needs));
    for (let pair = 0; pair < pairCount; pair += 1) {
      for (const isOpen of [true, false]) {
        // Armed beforehand, as an operator does; what is timed begins with POST /migrate.
        const body = await arm(daemons, requestFor(from, to, null));
        warmMemory(workspace, sizeBytes);
        distances.push(await coreRoundTripNs());
        const fd = isOpen ? openSync(from, 'r+') : undefined;
        await runPageferry(daemons, body, isOpen, times);
        if (fd !== undefined) closeSync(fd);
        requireIdentical(from, to);
        rmSync(to);
      }
      for (const { name, script } of rivals) {
        warmMemory(workspace, sizeBytes);
        note(times, name, timeShell(script, from, to));
        rmSync(to);
      }
    }
  });
  reportDistances(distances);
  return report(times, sizeBytes, pairCount);
}

async function runPageferry(
  daemons: Daemons,
  body: MigrateRequest,
  isOpen: boolean,
  times: Times,
): Promise<void> {
  const startMs = performance.now();
  await daemons.source.api.migrate(body);
  const status = await awaitCompleted(daemons, ({ pageferry: { phase } }) =>
    phase === 'setup' || phase === 'bulk' ? BULK_POLL_MS : POLL_MS,
  );
  const totalMs = performance.now() - startMs;
  if (!isOpen) {
    note(times, AT_REST, status['total-time'] ?? NaN);
    return;
  }
  note(times, IDLE, totalMs);
  note(times, '  total-time', status['total-time'] ?? NaN);
  for (const { name, ms } of status.pageferry.phases) note(times, `  ${name}`, ms);
}

function timeShell(script: string, from: string, to: string): number {
  const startMs = performance.now();
  const { status, stderr } = spawnSync('/bin/sh', ['-c', script, 'bench', from, to]);
  if (status !== 0) throw new Error(`${script}: ${stderr.toString()}`);
  return performance.now() - startMs;
}

function requireIdentical(from: string, to: string): void {
  if (spawnSync('cmp', [from, to]).status !== 0) throw new Error('the images differ after the migration');
}

function isInstalled(program: string): boolean {
  return spawnSync('/bin/sh', ['-c', 'command -v "$1"', 'bench', program]).status === 0;
}

function note(times: Times, name: string, ms: number): void {
  times.set(name, [...(times.get(name) ?? []), ms]);
}

function reportDistances(distances: readonly number[]): void {
  if (!distances.every(Number.isFinite)) return;
  const [middle, least, most] = [median(distances), Math.min(...distances), Math.max(...distances)].map(
    (ns) => ns.toFixed(0),
  );
  process.stdout.write(
    `a word goes from core to core and back in ${middle} ns (${least} to ${most}, before each migration)\n`,
  );
}

function report(times: Times, sizeBytes: number, pairCount: number): boolean {
  const base = times.get(BASE) ?? [];
  const ratioOf = (values: readonly number[]) =>
    median(values.map((value, pair) => value / (base[pair] ?? NaN)));
  const rows = [...times].map(([name, values]) => [
    name,
    seconds(median(values)),
    seconds(Math.min(...values)),
    seconds(Math.max(...values)),
    ratioOf(values).toFixed(2),
  ]);
  process.stdout.write(
    `transfer: ${sizeBytes / 2 ** 20} MiB of incompressible pages into a new file, idle guest, one stream; ` +
      `${pairCount} alternating runs, seconds\n` +
      formatTable([['', 'median', 'least', 'most', `of ${BASE}`], ...rows]),
  );
  const ratio = ratioOf(times.get(IDLE) ?? []);
  const isMet = ratio <= WORST_RATIO;
  const text = `at most ${WORST_RATIO} times ${BASE}: ${ratio.toFixed(2)} times (median of the pairs' ratios)`;
  process.stdout.write(formatTarget({ text, isMet }));
  return isMet;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}
