// The size of a RAMBlock, one contiguous piece of a guest's RAM, and which pages are in it.
// Invariant: a block's size is a whole number of pages, at least one and at most 2^32, so that a page index
// fits the u32 of a page record. Both daemons check it when they open its image, before anything is allocated.

import { PAGE_SIZE } from '@pageferry/xbzrle';
import { MemoryError } from './errors.ts';

/** The largest block, in bytes: 2^32 pages. */
export const BLOCK_MAX_BYTES = 16 * 2 ** 40;

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
