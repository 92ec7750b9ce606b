// The image mapped at the source, so that a rescan finds unchanged pages without copying them: the whole file, window
// by window, each mapped when it is first needed and kept, since building its page tables costs as much as two scans.
// Invariant: a page is touched only if mincore says at that moment that it is there. A mapped read of a hole would
// allocate it, and one behind a truncated file's end ends the process by SIGBUS: that is why the engine is its own.
// In a file that has all its blocks page tables are built before mincore is asked: madvise(2) sends no signal, and allocates
// no more holes than the file has blocks that are not its pages' (behind its end, say).
// A file that cannot be mapped (hugetlbfs, no address space) is not an error: `compare` says so, and it is read.

import { BATCH_PAGES, PAGE_SIZE, WINDOW_PAGES, WindowKernel } from '@pageferry/xbzrle';
import { pageCountOf } from './block.ts';
import type { DigestTable } from './digest-table.ts';
import type { MappingCalls } from './file-calls.ts';
import type { ImageHandle } from './image-file.ts';
import { checkNotTruncated, hasAllBlocks } from './page-io.ts';

/**
 * A batch with more absent pages than this is read as a whole. With 42 % of the pages single holes, comparing what is
 * there and reading around it took 145 ms of CPU per 512 MiB, reading all of it 87 ms.
 */
const ABSENT_SHARE = 1 / 16;

export interface ImageMappingOptions {
  readonly image: ImageHandle;
  readonly calls: MappingCalls;
  /** Secret of the digests. */
  readonly secret: Uint8Array;
  /** Pages of a window, a multiple of BATCH_PAGES. */
  readonly windowPages?: number;
}

/** Contiguous pages, by their index from the compared run's first page. */
export interface ComparedRun {
  readonly isChanged: boolean;
  readonly from: number;
  readonly to: number;
}

interface Window {
  readonly kernel: WindowKernel;
  /** 1 for each batch that was populated: page by page, on demand, that costs three times as much. */
  readonly populated: Uint8Array;
}

/** One stream's mapping of one image. */
export class ImageMapping {
  readonly #options: ImageMappingOptions;
  readonly #windowPages: number;
  readonly #pageCount: number;
  /** By the block's page index divided by the window's pages. */
  readonly #windows = new Map<number, Window>();
  /** False after the first window that could not be mapped. */
  #isMappable = true;

  constructor(options: ImageMappingOptions) {
    this.#options = options;
    this.#windowPages = options.windowPages ?? WINDOW_PAGES;
    this.#pageCount = pageCountOf(options.image);
  }

  /** Throws MemoryError: truncated, io. */
  startRound(): void {
    checkNotTruncated(this.#options.image);
  }

  /**
   * Splits a batch, which lies within one chunk, into pages that are as the table says and pages to be read, in order
   * and without a gap. Pages that are not resident are to be read; so is everything where the file is not mapped.
   * All of it is compared before the first run is used: what mincore said does not outlive the call.
   */
  compare(firstPage: number, pageCount: number, table: DigestTable): readonly ComparedRun[] {
    const window = this.#windowOf(firstPage);
    if (window === undefined) return [{ isChanged: true, from: 0, to: pageCount }];
    const { kernel } = window;
    const at = firstPage % this.#windowPages;
    table.load(firstPage, pageCount, kernel.digests);
    const absentCount = this.#lookUp(window, at, pageCount);
    if (absentCount > pageCount * ABSENT_SHARE) return [{ isChanged: true, from: 0, to: pageCount }];
    return runsOf(kernel, at, pageCount);
  }

  /**
   * Copies a batch into the beginning of `target`, as read does, and builds the page tables for comparing it later; as
   * `compare`, it touches no hole. False, and nothing copied, where the batch has one or is not mapped: read it.
   */
  copyTo(firstPage: number, pageCount: number, target: Uint8Array): boolean {
    const window = this.#windowOf(firstPage);
    if (window === undefined) return false;
    const at = firstPage % this.#windowPages;
    if (this.#lookUp(window, at, pageCount) > 0) return false;
    target.set(window.kernel.window.subarray(at * PAGE_SIZE, (at + pageCount) * PAGE_SIZE));
    return true;
  }

  /**
   * Whether all of these pages, of one batch, are in memory, which is a matter of microseconds once they are mapped; false
   * too where the file is not mapped.
   */
  arePresent(firstPage: number, pageCount: number): boolean {
    const window = this.#windowOf(firstPage);
    return window !== undefined && this.#lookUp(window, firstPage % this.#windowPages, pageCount) === 0;
  }

  /**
   * Fills in which pages may be touched; the result is how many may not. The first time it builds their page tables at once,
   * and where the file has all its blocks before mincore is asked, which takes ten times as long for pages without them.
   */
  #lookUp({ kernel, populated }: Window, at: number, pageCount: number): number {
    const { image, calls } = this.#options;
    const pages = kernel.window.subarray(at * PAGE_SIZE, (at + pageCount) * PAGE_SIZE);
    const batch = Math.floor(at / BATCH_PAGES);
    const isFirst = populated[batch] === 0;
    const isFull = isFirst && hasAllBlocks(image);
    if (isFull) calls.populate(pages);
    calls.residentPages(pages, kernel.resident);
    const absentCount = kernel.absentCount(pageCount);
    if (isFirst && absentCount === 0) {
      if (!isFull) calls.populate(pages);
      populated[batch] = 1;
    }
    return absentCount;
  }

  #windowOf(page: number): Window | undefined {
    const index = Math.floor(page / this.#windowPages);
    const known = this.#windows.get(index);
    if (known !== undefined || !this.#isMappable) return known;
    const made = this.#map(index * this.#windowPages);
    if (made === undefined) this.#isMappable = false;
    else this.#windows.set(index, made);
    return made;
  }

  #map(firstPage: number): Window | undefined {
    const { image, calls, secret } = this.#options;
    const pageCount = Math.min(this.#windowPages, this.#pageCount - firstPage);
    try {
      const kernel = new WindowKernel({ secret, pageCount });
      calls.mapReadOnly(image.fd, firstPage * PAGE_SIZE, kernel.window);
      return { kernel, populated: new Uint8Array(Math.ceil(pageCount / BATCH_PAGES)) };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      process.emitWarning(`${image.path} is read, not mapped: ${error.message}`);
      return undefined;
    }
  }
}

function runsOf(kernel: WindowKernel, at: number, pageCount: number): readonly ComparedRun[] {
  const runs: ComparedRun[] = [];
  for (let from = 0; from < pageCount;) {
    const changed = kernel.firstChanged(at, from, pageCount);
    if (changed > from) runs.push({ isChanged: false, from, to: changed });
    if (changed === pageCount) break;
    from = kernel.changedEnd(at, changed, pageCount);
    runs.push({ isChanged: true, from: changed, to: from });
  }
  return runs;
}
