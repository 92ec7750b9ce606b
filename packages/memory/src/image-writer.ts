// Writes a guest's image at the destination.
// Invariant: after `zero` the pages read as zeros whatever was there, and what was a hole is still one, so a fresh
// file stays as sparse as the guest's memory. Writes go through pwrite and not through a mapping: receiving into a
// mapped fresh file is twice as slow. Only files of huge pages are written through one, and overwritten with zeros.

import { PAGE_SIZE } from '@pageferry/xbzrle';
import { checkPageRange, pageCountOf } from './block.ts';
import { errnoOf, ioError } from './errors.ts';
import type { FileCalls } from './file-calls.ts';
import { hugePageBytes } from './huge-pages.ts';
import type { ImageHandle } from './image-file.ts';
import { readPages, seekData, seekHole, writeHugePages, writePages } from './page-io.ts';

/**
 * The shortest run that is punched; shorter ones are overwritten with zeros. On tmpfs a single page takes 2.2 µs
 * to punch and 1.6 to overwrite, and the guest's next write into it 2.6 against 1.1 µs (16 pages: 11 and 6 µs, then
 * 22 and 6.5), so punching pays only by the memory it gives back: for runs.
 */
export const PUNCH_MINIMUM_PAGES = 16;

/** Zeros for overwriting; never written to. */
const ZEROS = new Uint8Array(256 * PAGE_SIZE);

/** A writer of one image; each stream has its own, on the same descriptor. */
export class ImageWriter {
  readonly pageCount: number;
  readonly #image: ImageHandle;
  readonly #calls: FileCalls;
  /** Undefined for a file of ordinary pages. */
  readonly #hugeBytes: number | undefined;
  #canPunch = true;

  constructor({ image, calls }: { readonly image: ImageHandle; readonly calls: FileCalls }) {
    this.#image = image;
    this.#calls = calls;
    this.#hugeBytes = hugePageBytes(image);
    this.pageCount = pageCountOf(image);
  }

  /** Writes whole pages. Throws MemoryError: outside-block, io. */
  write(firstPage: number, bytes: Uint8Array): void {
    if (this.#hugeBytes === undefined) writePages(this.#image, firstPage, bytes);
    else writeHugePages(this.#image, this.#calls, firstPage, bytes, this.#hugeBytes);
  }

  /** Reads pages into the beginning of `target` (a delta's base, or to digest the file again). */
  read(firstPage: number, pageCount: number, target: Uint8Array): void {
    readPages(this.#image, firstPage, pageCount, target);
  }

  /** Makes pages read as zeros. Throws MemoryError: outside-block, io. */
  zero(firstPage: number, pageCount: number): void {
    checkPageRange(firstPage, pageCount, this.pageCount);
    const end = (firstPage + pageCount) * PAGE_SIZE;
    if (this.#hugeBytes !== undefined) {
      this.#overwrite(firstPage * PAGE_SIZE, end);
      return;
    }
    let data = this.#nextDataPage(firstPage * PAGE_SIZE, end);
    if (data < end && pageCount >= PUNCH_MINIMUM_PAGES && this.#punch(data, end)) return;
    while (data < end) {
      const dataEnd = Math.min(this.#dataEnd(data, end), end);
      this.#overwrite(data, dataEnd);
      data = this.#nextDataPage(dataEnd, end);
    }
  }

  /** Where the first page with data in [offset, end) begins, or `end`. */
  #nextDataPage(offset: number, end: number): number {
    if (offset >= end) return end;
    const found = seekData(this.#image, this.#calls, offset);
    return found === -1 || found >= end ? end : Math.floor(found / PAGE_SIZE) * PAGE_SIZE;
  }

  /** Where the first page after the data at `offset` begins. */
  #dataEnd(offset: number, end: number): number {
    // The page may begin with a hole and have data behind it: at least that page is overwritten.
    const found = seekHole(this.#image, this.#calls, offset);
    return found === -1 ? end : Math.max(Math.ceil(found / PAGE_SIZE) * PAGE_SIZE, offset + PAGE_SIZE);
  }

  /** Punches [offset, end); false, for good, where the file system cannot. */
  #punch(offset: number, end: number): boolean {
    if (!this.#canPunch) return false;
    try {
      this.#calls.punchHole(this.#image.fd, offset, end - offset);
      return true;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== 'EOPNOTSUPP' && errno !== 'ENOTSUP') throw ioError('punch', this.#image.path, error);
      this.#canPunch = false;
      return false;
    }
  }

  #overwrite(offset: number, end: number): void {
    for (let at = offset; at < end; at += ZEROS.length) {
      this.write(at / PAGE_SIZE, ZEROS.subarray(0, Math.min(ZEROS.length, end - at)));
    }
  }
}
