// Does the operations of one lane on the image, in order, at a rate.
// Order of an operation: its bytes, then the header, then the log's line.
import { readSync } from 'node:fs';
import { HEADER_BYTES, decodeHeader, encodeHeader } from './header.ts';
import { PAGE_BYTES } from './initial-image.ts';
import type { Lane } from './lane.ts';
import type { OperationLog } from './operation-log.ts';
import type { WrittenImage } from './written-image.ts';

/** Most operations at once: keeps the process answering signals, and bounds what is caught up after a pause. */
const MAX_BATCH = 256;

export class LaneWriter {
  readonly #image: WrittenImage;
  readonly #lane: Lane;
  readonly #log: OperationLog | null;
  readonly #ratePerSecond: number;
  #last: number;
  #credit = 0;

  /** Goes on after operation `last`. A rate of 0 is as fast as possible. */
  constructor(
    image: WrittenImage,
    lane: Lane,
    log: OperationLog | null,
    ratePerSecond: number,
    last: number,
  ) {
    this.#image = image;
    this.#lane = lane;
    this.#log = log;
    this.#ratePerSecond = ratePerSecond;
    this.#last = last;
  }

  get last(): number {
    return this.#last;
  }

  /** Does what is due after the time that has passed, but not beyond operation `limit`. */
  advance(elapsedMs: number, limit: number): void {
    this.#credit = Math.min(MAX_BATCH, this.#credit + (elapsedMs * this.#ratePerSecond) / 1000);
    const due = this.#ratePerSecond === 0 ? MAX_BATCH : Math.floor(this.#credit);
    if (this.#ratePerSecond > 0) this.#credit -= due;
    const end = Math.min(limit, this.#last + due);
    while (this.#last < end) this.#operate(this.#last + 1);
  }

  /** Before the first operation. */
  writeFirstHeader(): void {
    this.#writeAt(this.#lane.headerPage, 0, encodeHeader(this.#lane, 0));
  }

  #operate(operation: number): void {
    const page = this.#lane.pageOf(operation);
    for (const write of this.#lane.writesOf(operation)) this.#writeAt(page, write.offsetBytes, write.bytes);
    this.#writeAt(this.#lane.headerPage, 0, encodeHeader(this.#lane, operation));
    this.#log?.append(this.#lane.name, operation);
    this.#last = operation;
  }

  #writeAt(page: number, offsetBytes: number, bytes: Uint8Array): void {
    this.#image.write(page * PAGE_BYTES + offsetBytes, bytes);
  }
}

/** The counter in the image, or in words why there is none. */
export function readCounter(file: number, lane: Lane): number | string {
  const bytes = new Uint8Array(HEADER_BYTES);
  readSync(file, bytes, 0, HEADER_BYTES, lane.headerPage * PAGE_BYTES);
  return decodeHeader(lane, bytes);
}
