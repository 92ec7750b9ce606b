// What is checked after the handover, none of it by asking the daemons: cmp's verdict, the guest's counters in the
// destination's memory, the log that both instances of the guest appended to, and the replay of all of it from the seeds.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Child } from '../harness/child.ts';
import type { Daemon } from '../harness/daemons.ts';
import { replayOf } from '../harness/guest.ts';
import type { GuestPlan } from '../harness/guest.ts';
import type { Daemons } from '../harness/migration.ts';
import { signalIfThere, untilGone } from '../harness/processes.ts';
import { eventually } from '../harness/wait.ts';
import { checkLog } from '../workload/check-log.ts';
import type { LogReport } from '../workload/check-log.ts';
import { lanesOf } from '../workload/lane.ts';
import { replayAndCompare } from '../workload/replay.ts';
import { readCounter } from '../workload/writer.ts';
import { readVerdict } from './guest-command.ts';

export interface DemoFiles {
  readonly sourceImage: string;
  readonly destinationImage: string;
  /** Of the guest's operations, outside the images. */
  readonly log: string;
  readonly verdict: string;
}

/** Operations that every lane of the guest must do at the destination before it is believed to go on. */
const OPERATIONS_THERE = 500;

export function requireCmp(): void {
  if (spawnSync('cmp', ['--version'], { stdio: 'ignore' }).error !== undefined)
    throw new Error('the program cmp is needed to compare the images (diffutils)');
}

/** Resolves with what was compared; throws what is wrong. Ends the guest at the destination. */
export async function proveHandover(
  { destination }: Daemons,
  source: Child,
  files: DemoFiles,
  guest: GuestPlan,
  say: (text: string) => void,
): Promise<string> {
  const verdict = await eventually('the comparison', () => readVerdict(files.verdict));
  if (!verdict.isIdentical) throw new Error(`NOT identical: ${verdict.text}`);
  say('cmp: both images are identical while neither guest runs; the guest may go on at the destination');
  const before = readCounters(files.sourceImage, guest);
  const isGoingOn = (counter: number, lane: number) => counter >= (before[lane] ?? 0) + OPERATIONS_THERE;
  const after = await eventually('the guest to go on at the destination', () => {
    const now = readCounters(files.destinationImage, guest);
    return now.every(isGoingOn) ? now : undefined;
  });
  say(
    `the guest's counters stopped at ${before.join(' and ')} at the source, and are at ${after.join(' and ')} now`,
  );
  if (source.exit !== undefined) throw new Error('the guest at the source has ended; it should stand still');
  await endGuest(destination);
  const report = await checkLog(files.log);
  checkReport(report);
  const mismatches = replayAndCompare(files.destinationImage, replayOf(guest, report.lastOperations));
  const [first] = mismatches;
  if (first !== undefined)
    throw new Error(
      `NOT as the guest left it: ${mismatches.length} pages, page ${first.page} ${first.reason}`,
    );
  const operations = [...report.lastOperations.values()].reduce((sum, count) => sum + count, 0);
  return (
    `identical: cmp of ${files.sourceImage} and ${files.destinationImage} (${guest.initial.sizeBytes} bytes) ` +
    `while the guest was stopped; ${operations} operations replayed`
  );
}

/** Its memory does not change any more after this. */
async function endGuest({ api }: Daemon): Promise<void> {
  const pid = (await api.status()).pageferry.guest?.pid;
  if (pid === undefined) throw new Error('the destination does not know its guest');
  signalIfThere(pid, 'SIGTERM');
  await untilGone(pid);
}

function readCounters(image: string, { plan }: GuestPlan): readonly number[] {
  const file = openSync(image, 'r');
  try {
    return lanesOf(plan).map((lane) => {
      const counter = readCounter(file, lane);
      if (typeof counter === 'string') throw new Error(`${image}, ${lane.name}: ${counter}`);
      return counter;
    });
  } finally {
    closeSync(file);
  }
}

function checkReport({ problems, instances }: LogReport): void {
  if (problems.length > 0) throw new Error(`the guest's log is wrong: ${problems.join('; ')}`);
  if ((instances.get('destination') ?? 0) === 0)
    throw new Error('the guest wrote nothing at the destination');
}
