// The test program of QEMU's docs/xbzrle.txt: 16 MiB, and pass after pass one byte in every 1,024 is incremented.
// One operation is one page, so four increments. A byte is set to the number of the pass rather than read and
// incremented: in memory that began as zeros the bytes come out the same, and doing an operation twice does no harm.
import type { Lane, PageWrite } from './lane.ts';

const STRIDE_BYTES = 1024;
const WRITES_PER_PAGE = 4;

export class DocsLane implements Lane {
  /** 16 MiB, and the header page before them. */
  static readonly pageCount = 4097;

  readonly name = 'docs';
  readonly seed: number;
  readonly headerPage: number;
  readonly #pageCount: number;
  readonly #value = new Uint8Array(1);
  readonly #writes: readonly PageWrite[];

  /** Uses at most `pageCount` pages; a small range makes a small program. */
  constructor(seed: number, first: number, pageCount: number) {
    if (pageCount < 2) throw new Error('the docs program needs two pages at least');
    this.seed = seed;
    this.headerPage = first;
    this.#pageCount = Math.min(pageCount, DocsLane.pageCount) - 1;
    this.#writes = Array.from({ length: WRITES_PER_PAGE }, (_, index) => ({
      offsetBytes: index * STRIDE_BYTES,
      bytes: this.#value,
    }));
  }

  pageOf(operation: number): number {
    return this.headerPage + 1 + ((operation - 1) % this.#pageCount);
  }

  writesOf(operation: number): readonly PageWrite[] {
    this.#value[0] = Math.floor((operation - 1) / this.#pageCount) + 1;
    return this.#writes;
  }

  firstVisible(last: number): number {
    return Math.max(1, last - this.#pageCount + 1);
  }
}
