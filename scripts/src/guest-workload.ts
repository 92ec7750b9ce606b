// A process that writes into a memory image as a guest would, for the demo, the benchmark and the end-to-end tests.
// Its sequence follows from a seed, its counter lives in the image, its log outside: so whether a migration lost or
// doubled anything can be worked out without asking the daemons. Prints "running" when it begins, ends on SIGTERM.
import { closeSync, openSync, statSync } from 'node:fs';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { WrongImageError, findContinuation, verifyImage } from './workload/continue.ts';
import { lanesOf } from './workload/lane.ts';
import type { Lane, LaneName } from './workload/lane.ts';
import { OperationLog } from './workload/operation-log.ts';
import { USAGE, parseWorkloadOptions } from './workload/options.ts';
import type { WorkloadOptions } from './workload/options.ts';
import { LaneWriter } from './workload/writer.ts';
import { writeThroughMapping, writeWithCalls } from './workload/written-image.ts';

const TICK_MS = 2;

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(USAGE);
    return 0;
  }
  const options = parseWorkloadOptions(args, (path) => statSync(path).size);
  const file = openSync(options.image, options.isMapped ? 'r' : 'r+');
  const log = options.log === null ? null : new OperationLog(options.log, options.instance);
  try {
    const writers = createWriters(file, lanesOf(options.plan), log, options);
    log?.append('start', process.pid);
    process.stdout.write('running\n');
    await run(writers, options);
    return 0;
  } catch (error) {
    if (!(error instanceof WrongImageError)) throw error;
    log?.append('failed', error.message);
    process.stderr.write(`guest-workload: ${error.message}\n`);
    return 1;
  } finally {
    log?.close();
    closeSync(file);
  }
}

function createWriters(
  file: number,
  lanes: readonly Lane[],
  log: OperationLog | null,
  options: WorkloadOptions,
): readonly LaneWriter[] {
  const last = options.isContinued ? findContinuation(file, lanes, options) : new Map<LaneName, number>();
  if (options.isContinued) verifyImage(file, lanes, last, options);
  const image = options.isMapped ? writeThroughMapping(options.image) : writeWithCalls(file);
  return lanes.map((lane) => {
    const writer = new LaneWriter(image, lane, log, rateOf(lane, options), last.get(lane.name) ?? 0);
    if (!options.isContinued) writer.writeFirstHeader();
    return writer;
  });
}

function rateOf(lane: Lane, { plan, ratePerSecond, docsRatePerSecond }: WorkloadOptions): number {
  return plan.program === 'both' && lane.name === 'docs' ? docsRatePerSecond : ratePerSecond;
}

async function run(writers: readonly LaneWriter[], options: WorkloadOptions): Promise<void> {
  const end = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end.abort());
  const isUnlimited = options.ratePerSecond === 0 || hasUnlimitedDocs(options);
  let before = performance.now();
  while (!end.signal.aborted && writers.some((writer) => writer.last < options.lastOperation)) {
    const now = performance.now();
    for (const writer of writers) writer.advance(now - before, options.lastOperation);
    before = now;
    await (isUnlimited ? turn() : wait(TICK_MS));
  }
}

function hasUnlimitedDocs({ plan, docsRatePerSecond }: WorkloadOptions): boolean {
  return plan.program === 'both' && docsRatePerSecond === 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`guest-workload: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
