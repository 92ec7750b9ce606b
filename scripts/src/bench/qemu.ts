// The pause that a guest's user sees when it is moved by Pageferry and by QEMU alone: one running guest, moved in turn by
// the one and the other, there and back. The guest prints a number every 10 ms; the pause is the host's clock between the
// last number at the old place and the next one at the new place.
import { rmSync } from 'node:fs';
import type { MigrationStatus } from '@pageferry/protocol';
import type { Daemons } from '../harness/migration.ts';
import { Workspace } from '../harness/workspace.ts';
import { pauseBetween, reportOf } from '../qemu/console-report.ts';
import { migrateByDaemons, startQemuDaemons } from '../qemu/daemon-migration.ts';
import { GuestPair, type PlaceName } from '../qemu/guest-pair.ts';
import { COMPARABLE_EXTRA_BYTES, migrateByQemu } from '../qemu/native-migration.ts';
import { formatTable, formatTarget, median } from './figures.ts';
import type { BenchOptions } from './options.ts';
import { warmMemory } from './setting.ts';

const SMALL_FILES_BYTES = 64 * 2 ** 20;
const ALLOWED_BEYOND_SCAN_MS = 100;
/** As QEMU's: it pauses as soon as it expects to be within its limit. */
const PARAMETERS = { 'downtime-limit': 300, 'max-rounds': 10, 'on-no-convergence': 'switchover' } as const;
const CONTESTANTS = ['pageferry', 'QEMU'] as const;
type Contestant = (typeof CONTESTANTS)[number];

/** Milliseconds by row, one value a run. */
type Times = Map<string, number[]>;

/** Prints a table; answers whether the target is met. */
export async function benchQemu({ sizeBytes, pairCount }: BenchOptions): Promise<boolean> {
  const memoryBytes = sizeBytes + COMPARABLE_EXTRA_BYTES;
  const workspace = new Workspace('bench-qemu', 3 * memoryBytes + SMALL_FILES_BYTES);
  workspace.closeOnSignals();
  try {
    const docsOnly = { patternMib: 0, ratePerSecond: 0, isDocs: true, isDisk: true, isProxied: false };
    const pair = await GuestPair.make(workspace.path, { memoryBytes, ...docsOnly });
    workspace.onClose(() => pair.close());
    await pair.boot('a');
    const daemons = await startQemuDaemons(workspace, pair);
    const times: Times = new Map();
    let from: PlaceName = 'a';
    for (let turn = 0; turn < pairCount; turn += 1) {
      const order = turn % 2 === 0 ? CONTESTANTS : CONTESTANTS.toReversed();
      for (const contestant of order) {
        warmMemory(workspace, memoryBytes);
        from = await moveBy(contestant, daemons, pair, from, times);
      }
    }
    return report(times, memoryBytes, pairCount);
  } finally {
    await workspace.close();
  }
}

/** Resolves with where the guest is now. */
async function moveBy(
  contestant: Contestant,
  daemons: Daemons,
  pair: GuestPair,
  from: PlaceName,
  times: Times,
): Promise<PlaceName> {
  const to = from === 'a' ? 'b' : 'a';
  await pair.untilVerifiedAt(from);
  // The image of the last but one move: both begin with a fresh file.
  rmSync(pair.image(to), { force: true });
  if (contestant === 'QEMU') {
    const { 'total-time': totalMs = NaN, downtime = NaN } = await migrateByQemu(pair, from, to);
    note(times, 'QEMU: total-time', totalMs);
    note(times, 'QEMU: downtime as it reports it', downtime);
  } else {
    noteStatus(times, await migrateByDaemons(daemons, pair, from, to, { parameters: PARAMETERS }));
    const there = await daemons.destination.api.status();
    note(times, '  of that: loading it', there.pageferry['device-state']?.['load-ms'] ?? NaN);
  }
  await pair.untilVerifiedAt(to);
  const { problems } = reportOf(pair.recordings);
  if (problems.length > 0) throw new Error(`after a move by ${contestant}: ${problems.join('; ')}`);
  const [before, after] = pair.recordings.slice(-2);
  const gap = before === undefined || after === undefined ? undefined : pauseBetween(before, after);
  note(times, `${contestant}: pause that the guest's user sees`, gap?.ms ?? NaN);
  return to;
}

function noteStatus(times: Times, status: MigrationStatus): void {
  const { phases, rounds, 'device-state': state } = status.pageferry;
  const msOf = (name: string): number => phases.find((phase) => phase.name === name)?.ms ?? NaN;
  note(times, 'pageferry: total-time', status['total-time'] ?? NaN);
  note(times, 'pageferry: downtime as it reports it', status.downtime ?? NaN);
  note(times, '  of that: pausing', msOf('pausing'));
  note(times, '  of that: saving the device state', state?.['save-ms'] ?? NaN);
  note(times, FINAL_SCAN, rounds.at(-1)?.ms ?? NaN);
  note(times, '  of that: handover', msOf('handover'));
  note(times, '  of that: commit to running', msOf('committed'));
}

const FINAL_SCAN = '  of that: final scan and round';

function note(times: Times, name: string, ms: number): void {
  times.set(name, [...(times.get(name) ?? []), ms]);
}

function report(times: Times, memoryBytes: number, pairCount: number): boolean {
  const rows = [...times]
    .toSorted(([a], [b]) => order(a) - order(b))
    .map(([name, values]) => [
      name,
      median(values).toFixed(0),
      Math.min(...values).toFixed(0),
      Math.max(...values).toFixed(0),
    ]);
  process.stdout.write(
    `qemu: a guest of ${memoryBytes / 1024} KiB under TCG with the program of docs/xbzrle.txt, moved there and back in ` +
      `${pairCount} alternating pairs, ms\n` +
      formatTable([['', 'median', 'least', 'most'], ...rows]),
  );
  const pauses = times.get("pageferry: pause that the guest's user sees") ?? [];
  const scans = times.get(FINAL_SCAN) ?? [];
  const beyond = median(pauses.map((ms, run) => ms - (scans[run] ?? NaN)));
  const isMet = beyond <= ALLOWED_BEYOND_SCAN_MS;
  const text =
    `the pause is at most the final scan of the same run + ${ALLOWED_BEYOND_SCAN_MS} ms: ` +
    `${beyond.toFixed(0)} ms beyond it (median)`;
  process.stdout.write(formatTarget({ text, isMet }));
  return isMet;
}

/** Each contestant's rows together, the pause first. */
function order(name: string): number {
  if (name.startsWith('QEMU')) return name.includes('pause') ? 20 : 21;
  return name.includes('pause that') ? 0 : 1;
}
