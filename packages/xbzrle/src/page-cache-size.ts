// How large a page cache may be. The kernel addresses 4 GiB, and a cache of 2 GiB is the largest power of two
// that leaves room for its own table and for the batch slots.
import { CACHE_SLOT_BYTES, PAGE_SIZE } from './constants.ts';
import { XbzrleError } from './errors.ts';

/** Largest cache of one stream in bytes. */
export const MAX_CACHE_BYTES = 2 * 1024 ** 3;

/**
 * The size rule of QEMU's parameter, per stream: a power of two, at least a page. 0 means "no cache".
 *
 * @throws XbzrleError `cache-size`
 */
export function checkCacheBytes(bytes: number): void {
  if (bytes === 0) return;
  if (!isPowerOfTwo(bytes) || bytes < PAGE_SIZE || bytes > MAX_CACHE_BYTES)
    throw new XbzrleError({ code: 'cache-size', bytes });
}

/**
 * Each stream's cache: the largest power of two that its share of the total allows, in bytes.
 * 0 if that is less than a page; never more than MAX_CACHE_BYTES.
 */
export function cacheBytesPerStream(totalBytes: number, streamCount: number): number {
  const share = Math.min(Math.floor(totalBytes / streamCount), MAX_CACHE_BYTES);
  return share < PAGE_SIZE ? 0 : 2 ** Math.floor(Math.log2(share));
}

/** What a cache of that size takes in memory when it is full: copies and their table, in bytes. */
export function cacheAllocatedBytes(cacheBytes: number): number {
  return (cacheBytes / PAGE_SIZE) * CACHE_SLOT_BYTES;
}

function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && Number.isInteger(Math.log2(value));
}
