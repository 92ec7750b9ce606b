// Where an instance goes on, and whether the image it found is the one that the last instance left.
import { fstatSync } from 'node:fs';
import type { Lane, LaneName } from './lane.ts';
import { readLastOperations } from './operation-log.ts';
import type { WorkloadOptions } from './options.ts';
import { mix } from './random.ts';
import { replayAndCompare } from './replay.ts';
import { readCounter } from './writer.ts';

/** Thrown when the image is not what the log and the seeds say. */
export class WrongImageError extends Error {
  override readonly name = 'WrongImageError';
}

/** Last operation of each lane: the log's, or without a log the counter's in the image. Throws `WrongImageError`. */
export function findContinuation(
  file: number,
  lanes: readonly Lane[],
  options: WorkloadOptions,
): ReadonlyMap<LaneName, number> {
  const counters = new Map(lanes.map((lane) => [lane.name, requireCounter(file, lane)]));
  if (options.log === null) return counters;
  const last = readLastOperations(
    options.log,
    lanes.map((lane) => lane.name),
  );
  for (const [name, logged] of last) {
    const counter = counters.get(name) ?? NaN;
    if (counter !== logged && counter !== logged + 1)
      throw new WrongImageError(`the ${name} lane’s counter is ${counter}, its log ends at ${logged}`);
  }
  return last;
}

/** Compares pages with the replay, if the initial image is known. Throws `WrongImageError`. */
export function verifyImage(
  file: number,
  lanes: readonly Lane[],
  lastOperations: ReadonlyMap<LaneName, number>,
  options: WorkloadOptions,
): void {
  if (options.initial === null) return;
  const initial = { ...options.initial, sizeBytes: fstatSync(file).size };
  const pages = options.verifiedPages === 'all' ? undefined : samplePages(lanes, lastOperations, options);
  const [mismatch] = replayAndCompare(options.image, { initial, lanes, lastOperations }, pages);
  if (mismatch !== undefined) throw new WrongImageError(`page ${mismatch.page}: ${mismatch.reason}`);
}

/** Half of the sample is what was written last, which a migration is most likely to lose; the rest is anywhere. */
function samplePages(
  lanes: readonly Lane[],
  lastOperations: ReadonlyMap<LaneName, number>,
  { plan, verifiedPages }: WorkloadOptions,
): readonly number[] {
  const half = Math.ceil(Number(verifiedPages) / 2);
  const pages = new Set(lanes.map((lane) => lane.headerPage));
  for (const lane of lanes) {
    const last = lastOperations.get(lane.name) ?? 0;
    for (let operation = Math.max(1, last - half); operation <= last; operation += 1)
      pages.add(lane.pageOf(operation));
  }
  for (let index = 0; index < half; index += 1)
    pages.add(plan.range.first + (mix(plan.seed, index, 5) % plan.range.count));
  return [...pages];
}

function requireCounter(file: number, lane: Lane): number {
  const counter = readCounter(file, lane);
  if (typeof counter === 'number') return counter;
  throw new WrongImageError(`${lane.name} lane: ${counter}`);
}
