// The outside oracle: what an image must hold after given operations, worked out from the seeds alone, page by page.
// Invariant: only the page of the operation after the last logged one may be anything between before and after it.
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { decodeHeader, encodeHeader } from './header.ts';
import { PAGE_BYTES, fillInitialPage } from './initial-image.ts';
import type { InitialImage } from './initial-image.ts';
import type { Lane } from './lane.ts';

/** The state to compare with. `lastOperations` is what the log says; a lane that is missing there never began. */
export interface Replay {
  readonly initial: InitialImage;
  readonly lanes: readonly Lane[];
  readonly lastOperations: ReadonlyMap<string, number>;
}

/** Pages that differ, in order, at most `MAX_MISMATCHES`; empty means identical. */
export type Mismatches = readonly { readonly page: number; readonly reason: string }[];

const MAX_MISMATCHES = 100;

/** Compares the file with the replay: all pages, or only those given. Throws when the file has another size. */
export function replayAndCompare(imagePath: string, replay: Replay, pages?: readonly number[]): Mismatches {
  const file = openSync(imagePath, 'r');
  try {
    const { sizeBytes } = replay.initial;
    const foundBytes = fstatSync(file).size;
    if (foundBytes !== sizeBytes)
      throw new Error(`the image has ${foundBytes} bytes, expected are ${sizeBytes}`);
    return comparePages(file, new Replayer(replay, pages), pages ?? allPages(sizeBytes));
  } finally {
    closeSync(file);
  }
}

/**
 * Makes the file what the replay says, in place, for a stopped guest whose image was damaged from outside. The operation
 * after the last one of each lane is done too: the guest may have done it without having logged it, and does it again
 * if it has not.
 */
export function restoreImage(imagePath: string, replay: Replay): void {
  const next = new Map(replay.lanes.map(({ name }) => [name, (replay.lastOperations.get(name) ?? 0) + 1]));
  const replayer = new Replayer({ ...replay, lastOperations: next });
  const file = openSync(imagePath, 'r+');
  try {
    ftruncateSync(file, replay.initial.sizeBytes);
    for (const page of allPages(replay.initial.sizeBytes))
      writeSync(file, replayer.expectedPage(page), 0, PAGE_BYTES, page * PAGE_BYTES);
  } finally {
    closeSync(file);
  }
}

function comparePages(file: number, replayer: Replayer, pages: Iterable<number>): Mismatches {
  const mismatches: { page: number; reason: string }[] = [];
  const found = Buffer.alloc(PAGE_BYTES);
  for (const page of pages) {
    readSync(file, found, 0, PAGE_BYTES, page * PAGE_BYTES);
    const reason = replayer.compare(page, found);
    if (reason !== null) mismatches.push({ page, reason });
    if (mismatches.length === MAX_MISMATCHES) break;
  }
  return mismatches;
}

function* allPages(sizeBytes: number): Iterable<number> {
  for (let page = 0; page < sizeBytes / PAGE_BYTES; page += 1) yield page;
}

class Replayer {
  readonly #replay: Replay;
  readonly #operations = new Map<number, { lane: Lane; operation: number }[]>();
  readonly #words = new Uint32Array(PAGE_BYTES / 4);
  readonly #expected = Buffer.from(this.#words.buffer);

  /** Sorts the operations by page once; only for the pages given, if they are. */
  constructor(replay: Replay, pages?: readonly number[]) {
    this.#replay = replay;
    const wanted = pages === undefined ? null : new Set(pages);
    for (const lane of replay.lanes) {
      const last = replay.lastOperations.get(lane.name);
      if (last === undefined) continue;
      for (let operation = lane.firstVisible(last); operation <= last; operation += 1) {
        const page = lane.pageOf(operation);
        if (wanted === null || wanted.has(page)) this.#operationsOf(page).push({ lane, operation });
      }
    }
  }

  /** The page after the last operations, header included; valid until the next call. */
  expectedPage(page: number): Buffer {
    this.#replayPage(page);
    const lane = this.#replay.lanes.find((candidate) => candidate.headerPage === page);
    if (lane !== undefined)
      this.#expected.set(encodeHeader(lane, this.#replay.lastOperations.get(lane.name) ?? 0));
    return this.#expected;
  }

  /** Why the page is wrong, or `null`. */
  compare(page: number, found: Buffer): string | null {
    this.#replayPage(page);
    const lane = this.#replay.lanes.find((candidate) => candidate.headerPage === page);
    if (lane !== undefined) return this.#compareHeader(lane, found);
    if (found.equals(this.#expected) || this.#isHalfDone(page, found)) return null;
    const touched = this.#operations.get(page)?.at(-1);
    const history = touched ? `last written by ${touched.lane.name} ${touched.operation}` : 'never written';
    return `${history}; differs at byte ${firstDifference(found, this.#expected)}`;
  }

  #replayPage(page: number): void {
    fillInitialPage(this.#words, this.#replay.initial, page);
    for (const { lane, operation } of this.#operations.get(page) ?? [])
      for (const write of lane.writesOf(operation)) this.#expected.set(write.bytes, write.offsetBytes);
  }

  /** The header is written after the operation and before the log's line, so it may be one ahead of the log. */
  #compareHeader(lane: Lane, found: Buffer): string | null {
    const last = this.#replay.lastOperations.get(lane.name);
    const counter = decodeHeader(lane, found);
    if (last === undefined && found.equals(this.#expected)) return null;
    if (typeof counter === 'string') return counter;
    if (counter !== (last ?? 0) && counter !== (last ?? 0) + 1)
      return `the ${lane.name} lane’s counter is ${counter}, its log ends at ${last ?? 0}`;
    this.#expected.set(encodeHeader(lane, counter));
    return found.equals(this.#expected) ? null : 'the header page differs after the header';
  }

  /** Whether the page holds the first few writes of the operation that follows the log's last. */
  #isHalfDone(page: number, found: Buffer): boolean {
    for (const lane of this.#replay.lanes) {
      const next = (this.#replay.lastOperations.get(lane.name) ?? 0) + 1;
      if (lane.pageOf(next) !== page) continue;
      for (const write of lane.writesOf(next)) {
        this.#expected.set(write.bytes, write.offsetBytes);
        if (found.equals(this.#expected)) return true;
      }
    }
    return false;
  }

  #operationsOf(page: number): { lane: Lane; operation: number }[] {
    const known = this.#operations.get(page);
    if (known !== undefined) return known;
    const operations: { lane: Lane; operation: number }[] = [];
    this.#operations.set(page, operations);
    return operations;
  }
}

function firstDifference(found: Buffer, expected: Buffer): number {
  return found.findIndex((byte, index) => byte !== expected[index]);
}
