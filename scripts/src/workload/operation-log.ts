// The log outside the image, which all instances of a workload append to: who did which operation.
// A line is "INSTANCE LANE NUMBER", appended by one O_APPEND write after the operation and its header were written, so
// only the operation after the last line can be half done. Other lines: "INSTANCE start PID", "INSTANCE failed REASON".
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import type { LaneName } from './lane.ts';

const TAIL_BYTES = 64 * 1024;

/** Appends to a log; one write a line, so lines of two instances never mix. */
export class OperationLog {
  readonly #file: number;
  readonly #instance: string;

  constructor(path: string, instance: string) {
    if (!/^\w+$/.test(instance)) throw new Error(`the name of an instance is one word, not ${instance}`);
    this.#file = openSync(path, 'a', 0o600);
    this.#instance = instance;
  }

  append(word: LaneName | 'start' | 'failed', value: number | string): void {
    writeSync(this.#file, `${this.#instance} ${word} ${value}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/**
 * Number of the last operation of each lane, 0 if the log has none. Reads backwards, as far as it must: an instance
 * that starts at the destination must not read a log of a gigabyte while its guest is down.
 */
export function readLastOperations(path: string, lanes: readonly LaneName[]): ReadonlyMap<LaneName, number> {
  const last = new Map<LaneName, number>();
  const file = openSync(path, 'r');
  try {
    const sizeBytes = fstatSync(file).size;
    for (let tailBytes = TAIL_BYTES; last.size < lanes.length; tailBytes *= 4) {
      const start = Math.max(0, sizeBytes - tailBytes);
      findLast(readRange(file, start, sizeBytes), start > 0, lanes, last);
      if (start === 0) break;
    }
  } finally {
    closeSync(file);
  }
  for (const lane of lanes) if (!last.has(lane)) last.set(lane, 0);
  return last;
}

function findLast(
  text: string,
  isCutAtStart: boolean,
  lanes: readonly LaneName[],
  last: Map<LaneName, number>,
): void {
  const lines = text.split('\n');
  for (const line of lines.slice(isCutAtStart ? 1 : 0).reverse()) {
    const [, word, value] = line.split(' ');
    const lane = lanes.find((name) => name === word);
    if (lane !== undefined && !last.has(lane)) last.set(lane, Number(value));
  }
}

function readRange(file: number, start: number, end: number): string {
  const bytes = Buffer.alloc(end - start);
  return bytes.toString('latin1', 0, readSync(file, bytes, 0, bytes.length, start));
}
