// A memory image before the workload begins: random pages and zero pages, both decided by the seed.
// Zero pages come in groups, as in real guests, and are holes unless they are asked to be written.
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { fillRandom, mix } from './random.ts';

export const PAGE_BYTES = 4096;
const ZERO_GROUP_PAGES = 16;
const CHUNK_PAGES = 1024;

/** What an image holds; the same values give the same bytes. */
export interface InitialImage {
  readonly seed: number;
  /** A multiple of the page size. */
  readonly sizeBytes: number;
  /** 0 to 1. */
  readonly zeroShare: number;
}

/** Writes the image to a new or emptied file. `zeros: 'holes'` leaves zero pages unallocated. */
export function writeInitialImage(path: string, image: InitialImage, zeros: 'holes' | 'written'): void {
  const file = openSync(path, 'w', 0o600);
  try {
    ftruncateSync(file, image.sizeBytes);
    const chunk = new Uint32Array((CHUNK_PAGES * PAGE_BYTES) / 4);
    const pageCount = image.sizeBytes / PAGE_BYTES;
    for (let page = 0; page < pageCount; page += CHUNK_PAGES)
      writeChunk(file, image, zeros, chunk, page, Math.min(CHUNK_PAGES, pageCount - page));
  } finally {
    closeSync(file);
  }
}

/** Makes the words of one page (1,024 of them) what they are in the image. */
export function fillInitialPage(words: Uint32Array, image: InitialImage, page: number): void {
  if (isInitiallyZero(image, page)) words.fill(0);
  else fillRandom(words, mix(image.seed, page));
}

function isInitiallyZero(image: InitialImage, page: number): boolean {
  return mix(image.seed, Math.floor(page / ZERO_GROUP_PAGES), 0x2e20) < image.zeroShare * 2 ** 32;
}

function writeChunk(
  file: number,
  image: InitialImage,
  zeros: 'holes' | 'written',
  chunk: Uint32Array,
  first: number,
  pageCount: number,
): void {
  for (let index = 0; index < pageCount; index += 1)
    fillInitialPage(pageWords(chunk, index), image, first + index);
  let start = 0;
  while (start < pageCount) {
    const isSkipped = zeros === 'holes' && isInitiallyZero(image, first + start);
    const end = endOfGroup(first + start, first + pageCount) - first;
    if (!isSkipped) writePages(file, chunk, first, start, end);
    start = end;
  }
}

function endOfGroup(page: number, limit: number): number {
  return Math.min(limit, (Math.floor(page / ZERO_GROUP_PAGES) + 1) * ZERO_GROUP_PAGES);
}

function writePages(file: number, chunk: Uint32Array, first: number, start: number, end: number): void {
  const bytes = new Uint8Array(chunk.buffer, start * PAGE_BYTES, (end - start) * PAGE_BYTES);
  const written = writeSync(file, bytes, 0, bytes.length, (first + start) * PAGE_BYTES);
  if (written !== bytes.length) throw new Error('the image was not written whole');
}

function pageWords(chunk: Uint32Array, index: number): Uint32Array {
  return chunk.subarray((index * PAGE_BYTES) / 4, ((index + 1) * PAGE_BYTES) / 4);
}
