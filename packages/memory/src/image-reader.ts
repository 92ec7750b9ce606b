// Reads a guest's image at the source: pages into a private snapshot, and where the file has holes.
// Invariant: "hole" is certain for the moment it was looked up (the pages read as zeros), "data" only means "read
// it". What the guest writes after the look-up is found by the next round, and the last round starts after the
// pause, so a known extent is kept within a round and forgotten between rounds.
// In a fragmented file, finding a short hole by lseek costs more than reading it and letting the kernel's zero test
// see it: a short hole behind data counts as data, and none is looked for within a short data run.
// Where the end of data is asked for, lseek walks over all of it (13 ms a GiB): a batch that is in memory is known without.

import { BATCH_PAGES, PAGE_SIZE } from '@pageferry/xbzrle';
import { checkPageRange, pageCountOf } from './block.ts';
import type { FileCalls } from './file-calls.ts';
import type { ImageHandle } from './image-file.ts';
import { checkNotTruncated, readPages, seekData, seekHole, truncated } from './page-io.ts';

/**
 * The shortest run told apart from data before it, in pages. With 42 % of the pages single holes, walking and
 * reading 256 MiB on tmpfs takes 43-50 ms in 265 batches, against 82-106 ms in 31,758 when every hole is told
 * apart; with every other page a hole 43-68 against 131-178 ms. A file of long runs costs the same either way.
 */
export const MINIMUM_RUN_PAGES = 16;

/** Pages of the block of one kind: `hole` reads as zeros, `data` must be read. */
export interface DataRun {
  readonly kind: 'data' | 'hole';
  readonly firstPage: number;
  readonly pageCount: number;
}

export interface ImageReaderOptions {
  readonly image: ImageHandle;
  readonly calls: FileCalls;
  /** Whether all of these pages, of one batch, are in memory, so that none is a hole; false where that is not known. */
  readonly arePresent?: (firstPage: number, pageCount: number) => boolean;
}

interface Extent {
  readonly kind: 'data' | 'hole';
  readonly firstPage: number;
  readonly endPage: number;
}

/** A reader of one image; each stream has its own, on the same descriptor. */
export class ImageReader {
  readonly pageCount: number;
  readonly #image: ImageHandle;
  readonly #calls: FileCalls;
  readonly #arePresent: (firstPage: number, pageCount: number) => boolean;
  #extent: Extent | undefined;
  /** The batch that was last found to have pages that are not in memory. */
  #mixedBatch = -1;

  constructor({ image, calls, arePresent = () => false }: ImageReaderOptions) {
    this.#image = image;
    this.#calls = calls;
    this.#arePresent = arePresent;
    this.pageCount = pageCountOf(image);
  }

  /** Forgets what is known about holes. */
  startRound(): void {
    this.#extent = undefined;
    this.#mixedBatch = -1;
  }

  /** Throws MemoryError truncated if the file is shorter than the image. */
  checkSize(): void {
    checkNotTruncated(this.#image);
  }

  /** Reads pages into the beginning of `target`. Throws MemoryError: outside-block, truncated, io. */
  read(firstPage: number, pageCount: number, target: Uint8Array): void {
    readPages(this.#image, firstPage, pageCount, target);
  }

  /**
   * Splits a run into data and holes, in order, without a gap, no two data runs in a row. Walking upwards costs at
   * most three lseeks an extent of the file, however the walk is divided into calls, and one a batch of present pages.
   * Throws MemoryError: outside-block, truncated, io.
   */
  *dataRuns(firstPage: number, pageCount: number): Generator<DataRun, void, undefined> {
    checkPageRange(firstPage, pageCount, this.pageCount);
    const endPage = firstPage + pageCount;
    let dataPage = firstPage;
    for (let page = firstPage; page < endPage;) {
      const extent = this.#extentAt(page);
      const runEndPage = Math.min(extent.endPage, endPage);
      const isShort = page > dataPage && runEndPage - page < MINIMUM_RUN_PAGES;
      if (extent.kind === 'hole' && !isShort) {
        if (page > dataPage) yield { kind: 'data', firstPage: dataPage, pageCount: page - dataPage };
        yield { kind: 'hole', firstPage: page, pageCount: runEndPage - page };
        dataPage = runEndPage;
      }
      page = runEndPage;
    }
    if (endPage > dataPage) yield { kind: 'data', firstPage: dataPage, pageCount: endPage - dataPage };
  }

  #extentAt(page: number): Extent {
    const known = this.#extent;
    if (known !== undefined && known.firstPage <= page && page < known.endPage) return known;
    const found = this.#findExtent(page);
    this.#extent = found;
    return found;
  }

  #findExtent(page: number): Extent {
    const dataOffset = seekData(this.#image, this.#calls, page * PAGE_SIZE);
    if (dataOffset === -1) {
      // No data up to the end: of the image, or of a file that was cut short, which must not pass for zeros.
      checkNotTruncated(this.#image);
      return { kind: 'hole', firstPage: page, endPage: this.pageCount };
    }
    // A page that is partly data is data, so the hole ends and the data ends at page borders outwards.
    const dataPage = Math.floor(dataOffset / PAGE_SIZE);
    if (dataPage > page)
      return { kind: 'hole', firstPage: page, endPage: Math.min(dataPage, this.pageCount) };
    const batchEnd = this.#presentEnd(page);
    if (batchEnd !== undefined) return { kind: 'data', firstPage: page, endPage: batchEnd };
    const holeOffset = seekHole(this.#image, this.#calls, dataOffset);
    if (holeOffset === -1) throw truncated(this.#image);
    const endPage = Math.max(Math.ceil(holeOffset / PAGE_SIZE), page + MINIMUM_RUN_PAGES);
    return { kind: 'data', firstPage: page, endPage: Math.min(endPage, this.pageCount) };
  }

  /** The end of the page's batch, if all of it from the page on is in memory. */
  #presentEnd(page: number): number | undefined {
    const batch = Math.floor(page / BATCH_PAGES);
    const end = Math.min((batch + 1) * BATCH_PAGES, this.pageCount);
    if (batch === this.#mixedBatch) return undefined;
    if (this.#arePresent(page, end - page)) return end;
    this.#mixedBatch = batch;
    return undefined;
  }
}
