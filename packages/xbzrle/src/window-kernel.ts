// The page kernel of a window: memory that the caller maps a part of an image over, and the comparison of its pages
// with their digests, without a copy. It has an instance of its own because an instance's memory ends at 4 GiB and
// is replaced with the cache's size, which a mapping must survive.
// The mapping may stay until the end: freeing the memory unmaps the whole reservation, whatever lies over it.
import assert from 'node:assert/strict';
import { BATCH_PAGES, DIGEST_BYTES, PAGE_SIZE, SECRET_BYTES } from './constants.ts';
import { instantiateKernel, type Kernel } from './wasm.ts';

/** Most pages of one window: 2 GiB. */
export const WINDOW_PAGES = 524_288;

export class WindowKernel {
  /** The window, page-aligned in the process's memory: what a mapping may replace. */
  readonly window: Uint8Array;
  /** BATCH_PAGES digests: the table's, of the pages that are compared. */
  readonly digests: Uint8Array;
  /** A byte for each of these pages; bit 0 says that the page may be touched. */
  readonly resident: Uint8Array;
  readonly #kernel: Kernel;
  readonly #windowAt: number;

  /**
   * @throws RangeError if there is no address space for the window
   * @throws XbzrleError `kernel-missing`, `kernel-mismatch`
   */
  constructor({ secret, pageCount }: { readonly secret: Uint8Array; readonly pageCount: number }) {
    assert(secret.length === SECRET_BYTES);
    assert(Number.isInteger(pageCount) && pageCount >= 1 && pageCount <= WINDOW_PAGES);
    this.#kernel = instantiateKernel((sizes) => sizes.windowMemoryBytes(pageCount));
    const { exports, memory } = this.#kernel;
    const view = (at: number, length: number): Uint8Array => new Uint8Array(memory, at, length);
    this.#windowAt = exports.windowStart();
    this.window = view(this.#windowAt, pageCount * PAGE_SIZE);
    this.digests = view(exports.digestsArea(), BATCH_PAGES * DIGEST_BYTES);
    this.resident = view(exports.residentArea(), BATCH_PAGES);
    view(exports.secretArea(), SECRET_BYTES).set(secret);
    exports.useSecret(exports.windowScratch());
  }

  /** How many of a batch's first pages may not be touched, as `resident` says. */
  absentCount(pageCount: number): number {
    assert(pageCount >= 0 && pageCount <= BATCH_PAGES);
    return this.#kernel.exports.countAbsent(pageCount);
  }

  /**
   * Of the batch that begins with page `firstPage` of the window: the first page in [from, to) that differs from its
   * digest or is not resident, by its index in the batch; `to` if there is none.
   */
  firstChanged(firstPage: number, from: number, to: number): number {
    return this.#kernel.exports.firstChanged(this.#addressOf(firstPage, from, to), from, to);
  }

  /** Where the run ends that begins with the changed page `from`; unchanged pages in short gaps are in it. */
  changedEnd(firstPage: number, from: number, to: number): number {
    return this.#kernel.exports.changedEnd(this.#addressOf(firstPage, from, to), from, to);
  }

  #addressOf(firstPage: number, from: number, to: number): number {
    assert(0 <= from && from <= to && to <= BATCH_PAGES);
    assert(firstPage >= 0 && (firstPage + to) * PAGE_SIZE <= this.window.length, 'outside the window');
    return this.#windowAt + firstPage * PAGE_SIZE;
  }
}
