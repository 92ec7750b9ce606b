// Random writes, uniform over the lane's pages: parts of pages, whole pages, a counter in a page, and zero pages.
// So every way that a page can take through a migration is taken: small delta, overflow, page that becomes zero.
import { PAGE_BYTES } from './initial-image.ts';
import type { Lane, PageRange, PageWrite } from './lane.ts';
import { fillRandom, mix } from './random.ts';

const MAX_PART_BYTES = 512;

export class RandomLane implements Lane {
  readonly name = 'random';
  readonly seed: number;
  readonly headerPage: number;
  readonly #ranges: readonly PageRange[];
  readonly #pageCount: number;
  readonly #zeroShare: number;
  readonly #words = new Uint32Array(PAGE_BYTES / 4);
  readonly #bytes = new Uint8Array(this.#words.buffer);

  /** The first page of the ranges becomes the header page. */
  constructor(seed: number, ranges: readonly PageRange[], zeroShare: number) {
    this.seed = seed;
    this.#ranges = ranges;
    this.#zeroShare = zeroShare;
    this.#pageCount = ranges.reduce((sum, range) => sum + range.count, 0) - 1;
    if (this.#pageCount < 1) throw new Error('the random program needs two pages at least');
    this.headerPage = this.#pageAt(0);
  }

  pageOf(operation: number): number {
    return this.#pageAt(1 + (mix(this.seed, operation, 1) % this.#pageCount));
  }

  writesOf(operation: number): readonly PageWrite[] {
    if (mix(this.seed, operation, 2) < this.#zeroShare * 2 ** 32) {
      this.#words.fill(0);
      return [{ offsetBytes: 0, bytes: this.#bytes }];
    }
    const choice = mix(this.seed, operation, 3);
    fillRandom(this.#words, mix(this.seed, operation, 4));
    switch (choice % 4) {
      case 0:
        return [{ offsetBytes: 0, bytes: this.#bytes }];
      case 1: {
        this.#words[0] = operation;
        const offsetBytes = ((choice >>> 8) % (PAGE_BYTES / 4)) * 4;
        return [{ offsetBytes, bytes: this.#bytes.subarray(0, 4) }];
      }
      default: {
        const lengthBytes = 1 + ((choice >>> 4) % MAX_PART_BYTES);
        const offsetBytes = (choice >>> 16) % (PAGE_BYTES - lengthBytes + 1);
        return [{ offsetBytes, bytes: this.#bytes.subarray(0, lengthBytes) }];
      }
    }
  }

  firstVisible(): number {
    return 1;
  }

  #pageAt(index: number): number {
    let rest = index;
    for (const range of this.#ranges) {
      if (rest < range.count) return range.first + rest;
      rest -= range.count;
    }
    throw new Error(`the lane has no page ${index}`);
  }
}
