// Moves a real guest, an unmodified QEMU with a Linux in it, before the user's eyes: the guest verifies its own memory and
// disk and prints a number every 10 ms; cmp compares both images before it goes on. The exit code is 0 only if every check
// held. Nothing is left behind, whatever happens.
import { parseArgs } from 'node:util';
import { formatBytes, Progress } from './demo/progress.ts';
import { requireCmp } from './demo/proof.ts';
import { resultTable } from './demo/table.ts';
import type { Daemons } from './harness/migration.ts';
import { Workspace } from './harness/workspace.ts';
import { pauseBetween, reportOf } from './qemu/console-report.ts';
import { comparisonBeforeRunning, migrateByDaemons, startQemuDaemons } from './qemu/daemon-migration.ts';
import { GuestPair, type PlaceName } from './qemu/guest-pair.ts';
import type { ConsoleLine } from './qemu/serial-console.ts';
import { parseNumber, parseSize } from './workload/options.ts';

const USAGE = `demo:qemu [options]
  --size BYTES   the guest's memory; K, M and G count in powers of 1024 (default 512M)
  --moves N      there, back, there again (default 1)
`;
const MIB = 2 ** 20;
/** What the guest's kernel and programs need besides the pattern. */
const SYSTEM_MIB = 160;
const PAGES_PER_SECOND = 2000;
const SMALL_FILES_BYTES = 64 * MIB;
const LINES_SHOWN = 5;
const PARAMETERS = { 'downtime-limit': 1000, 'max-rounds': 5, 'on-no-convergence': 'switchover' } as const;

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      size: { type: 'string', default: '512M' },
      moves: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const sizeBytes = parseSize('size', values.size);
  const patternMib = sizeBytes / MIB - SYSTEM_MIB;
  if (patternMib < 1) throw new Error(`--size is ${SYSTEM_MIB + 1}M at least`);
  requireCmp();
  const workspace = new Workspace('qemu', 2 * sizeBytes + SMALL_FILES_BYTES);
  workspace.closeOnSignals();
  try {
    const pair = await GuestPair.make(workspace.path, {
      memoryBytes: sizeBytes,
      patternMib,
      ratePerSecond: PAGES_PER_SECOND,
      isDocs: true,
      isDisk: true,
    });
    workspace.onClose(() => pair.close());
    const lastLine = await run(workspace, pair, parseNumber('moves', values.moves));
    await workspace.close();
    process.stdout.write(`${lastLine}\n`);
  } finally {
    await workspace.close();
  }
}

/** Resolves with the demo's last line. */
async function run(workspace: Workspace, pair: GuestPair, moveCount: number): Promise<string> {
  const { patternMib, memoryBytes } = pair.options;
  say(`booting a Linux of ${formatBytes(memoryBytes)} in QEMU without KVM; its command line:`);
  say(`  ${pair.command('a', false).slice(3).join(' ')}\n`);
  const { pid } = await pair.boot('a');
  say(
    `it runs as process ${pid}, and keeps ${patternMib} MiB of memory and a disk under patterns that it verifies`,
  );
  const daemons = await startQemuDaemons(workspace, pair);
  let from: PlaceName = 'a';
  for (let move = 1; move <= moveCount; move += 1) from = await moveOnce(daemons, pair, from);
  const { problems, first, last } = reportOf(pair.recordings);
  if (problems.length > 0) throw new Error(`the guest's console is wrong: ${problems.join('; ')}`);
  return `moved ${moveCount} times: numbers ${first} to ${last} without hole or repeat, memory, disk and images verified`;
}

/** Resolves with where the guest is now. */
async function moveOnce(daemons: Daemons, pair: GuestPair, from: PlaceName): Promise<PlaceName> {
  const to = from === 'a' ? 'b' : 'a';
  await pair.untilVerifiedAt(from);
  say(`\nmoving it from ${from} to ${to}`);
  const progress = new Progress(process.stdout);
  const compared = comparisonBeforeRunning(pair, to);
  const status = await migrateByDaemons(daemons, pair, from, to, {
    parameters: PARAMETERS,
    onStatus: (now) => progress.update(now),
  });
  const { verdict, ms } = await compared;
  if (verdict !== 'identical') throw new Error(`NOT identical: ${verdict}`);
  await pair.untilVerifiedAt(to);
  const [before, after] = pair.recordings.slice(-2);
  show('last lines of the console where it was', before?.lines.slice(-LINES_SHOWN));
  show('first lines of the console where it is', after?.lines.slice(0, LINES_SHOWN));
  show('and the last ones, but for numbers', after?.lines.filter(isVerdict).slice(-LINES_SHOWN));
  const gap = before === undefined || after === undefined ? undefined : pauseBetween(before, after);
  say(`cmp: both images are identical; the guest was held for that, ${ms.toFixed(0)} ms, and may go on`);
  say(
    `longest silence of the console over the move, without that: ${((gap?.ms ?? NaN) - ms).toFixed(0)} ms\n`,
  );
  process.stdout.write(resultTable(status));
  return to;
}

function show(title: string, lines: readonly ConsoleLine[] = []): void {
  say(`${title}:`);
  for (const { text } of lines) say(`  ${text}`);
}

function isVerdict({ text }: ConsoleLine): boolean {
  return / (ok|bad) /.test(text);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`demo:qemu: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
