// A RAMBlock: one contiguous piece of a guest's RAM and the file that backs it.
// Invariant: a block's size is a whole number of pages, at least one and at most 2^32, so that a page index
// fits the u32 of a page record. Both daemons check it before anything is opened or allocated.

import { PAGE_SIZE } from '@pageferry/xbzrle';
import { MemoryError } from './errors.ts';

/** The largest block, in bytes: 2^32 pages. */
export const BLOCK_MAX_BYTES = 16 * 2 ** 40;

/** The longest id of a block, in characters (QEMU's `idstr` is 256 bytes with its terminator). */
export const BLOCK_ID_MAX_LENGTH = 255;

/** One RAMBlock: QEMU's id (such as `pc.ram`), the image's path, the size in bytes. */
export interface RAMBlock {
  readonly id: string;
  readonly path: string;
  readonly sizeBytes: number;
}

/** A block that was checked. Throws MemoryError `invalid-block`. */
export function createBlock({ id, path, sizeBytes }: RAMBlock): RAMBlock {
  const reason =
    id.length === 0 || id.length > BLOCK_ID_MAX_LENGTH
      ? `its id must have 1 to ${BLOCK_ID_MAX_LENGTH} characters`
      : path.length === 0
        ? 'its path is empty'
        : sizeProblem(sizeBytes);
  if (reason !== undefined) throw new MemoryError({ code: 'invalid-block', id, reason });
  return { id, path, sizeBytes };
}

/** Why a block or an image cannot have this size in bytes, in words, or undefined if it can. */
export function sizeProblem(sizeBytes: number): string | undefined {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) return 'its size must be above 0';
  if (sizeBytes % PAGE_SIZE !== 0) return `its size must be a multiple of ${PAGE_SIZE} bytes`;
  if (sizeBytes > BLOCK_MAX_BYTES) return `its size must be at most ${BLOCK_MAX_BYTES} bytes`;
  return undefined;
}

/** Number of pages in a block or image of a valid size in bytes. */
export function pageCountOf({ sizeBytes }: { readonly sizeBytes: number }): number {
  return sizeBytes / PAGE_SIZE;
}

/**
 * Checks that a run lies in a block. Page indexes come from the wire, so this is a fault and not an assertion.
 * Throws MemoryError `outside-block`.
 */
export function checkPageRange(firstPage: number, pageCount: number, pageLimit: number): void {
  const isInside =
    Number.isSafeInteger(firstPage) &&
    Number.isSafeInteger(pageCount) &&
    firstPage >= 0 &&
    pageCount >= 0 &&
    firstPage + pageCount <= pageLimit;
  if (!isInside) throw new MemoryError({ code: 'outside-block', firstPage, pageCount, pageLimit });
}
