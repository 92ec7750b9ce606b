// The calls that reader and writer make on an image: pread and pwrite of whole pages, and lseek for holes.
// Invariant: a call moves all of its bytes or throws MemoryError; positions are explicit (SEEK_DATA and SEEK_HOLE
// only return one), so threads share a descriptor.

import assert from 'node:assert/strict';
import { readSync, fstatSync, writeSync } from 'node:fs';
import { PAGE_SIZE } from '@pageferry/xbzrle';
import { checkPageRange, pageCountOf } from './block.ts';
import { errnoOf, ioError, MemoryError } from './errors.ts';
import type { FileCalls } from './file-calls.ts';
import type { ImageHandle } from './image-file.ts';

/** The unit of st_blocks (stat(2)). */
const STAT_BLOCK_BYTES = 512;

/**
 * Reads pages into the beginning of `target`, normally by one pread.
 * Throws MemoryError: outside-block, truncated, io.
 */
export function readPages(
  image: ImageHandle,
  firstPage: number,
  pageCount: number,
  target: Uint8Array,
): void {
  checkPageRange(firstPage, pageCount, pageCountOf(image));
  const lengthBytes = pageCount * PAGE_SIZE;
  const position = firstPage * PAGE_SIZE;
  assert(target.length >= lengthBytes, 'the target holds the pages');
  for (let done = 0; done < lengthBytes;) {
    const moved = attempt('read', image, () =>
      readSync(image.fd, target, done, lengthBytes - done, position + done),
    );
    if (moved === 0) throw truncated(image);
    done += moved;
  }
}

/**
 * Writes whole pages, normally by one pwrite. `bytes.length` is a multiple of the page size.
 * Throws MemoryError: outside-block, io.
 */
export function writePages(image: ImageHandle, firstPage: number, bytes: Uint8Array): void {
  assert(bytes.length % PAGE_SIZE === 0, 'whole pages only');
  checkPageRange(firstPage, bytes.length / PAGE_SIZE, pageCountOf(image));
  const position = firstPage * PAGE_SIZE;
  for (let done = 0; done < bytes.length;) {
    done += attempt('write', image, () =>
      writeSync(image.fd, bytes, done, bytes.length - done, position + done),
    );
  }
}

/**
 * As writePages, for a file of huge pages. Throws MemoryError: outside-block, io.
 */
export function writeHugePages(
  image: ImageHandle,
  calls: FileCalls,
  firstPage: number,
  bytes: Uint8Array,
  hugeBytes: number,
): void {
  assert(bytes.length % PAGE_SIZE === 0, 'whole pages only');
  checkPageRange(firstPage, bytes.length / PAGE_SIZE, pageCountOf(image));
  attempt('write', image, () => calls.writeMapped(image.fd, firstPage * PAGE_SIZE, bytes, hugeBytes));
}

/** FileCalls.seekData on an image; where the file system has no holes, all is data. Throws MemoryError `io`. */
export function seekData(image: ImageHandle, calls: FileCalls, offset: number): number {
  const answer = (): number => (offset < currentSizeBytes(image) ? offset : -1);
  return attempt('find data in', image, () => orAllData(() => calls.seekData(image.fd, offset), answer));
}

/** FileCalls.seekHole on an image; where the file system has no holes, its end is the first. Throws MemoryError `io`. */
export function seekHole(image: ImageHandle, calls: FileCalls, offset: number): number {
  const answer = (): number => (offset < currentSizeBytes(image) ? currentSizeBytes(image) : -1);
  return attempt('find holes in', image, () => orAllData(() => calls.seekHole(image.fd, offset), answer));
}

/** A file system that does not know SEEK_DATA and SEEK_HOLE answers EINVAL. */
function orAllData(call: () => number, otherwise: () => number): number {
  try {
    return call();
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error;
    return otherwise();
  }
}

/** Throws MemoryError `truncated` if the file ends before the image does. */
export function checkNotTruncated(image: ImageHandle): void {
  if (currentSizeBytes(image) < image.sizeBytes) throw truncated(image);
}

/**
 * Whether the file occupies as many blocks as the image has bytes. On tmpfs it then has no hole; elsewhere blocks may be
 * others than those of its pages (metadata, what is reserved behind its end). Throws MemoryError `io`.
 */
export function hasAllBlocks(image: ImageHandle): boolean {
  return attempt('stat', image, () => fstatSync(image.fd)).blocks * STAT_BLOCK_BYTES >= image.sizeBytes;
}

/** The error for a file that ends before the image does. */
export function truncated(image: ImageHandle): MemoryError {
  return new MemoryError({ code: 'truncated', path: image.path, sizeBytes: currentSizeBytes(image) });
}

/** Runs one system call on the image; what it throws becomes MemoryError `io`. */
function attempt<T>(operation: string, { path }: ImageHandle, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw ioError(operation, path, error);
  }
}

function currentSizeBytes(image: ImageHandle): number {
  return attempt('stat', image, () => fstatSync(image.fd)).size;
}
