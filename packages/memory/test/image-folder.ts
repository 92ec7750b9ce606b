// A folder of real images for a test, on tmpfs where the machine has it, and gone when the test is.

import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PAGE_SIZE } from '@pageferry/xbzrle';
import { openImage, type Image } from '../src/image-file.ts';

/** What the folder needs of a node-tap test. */
export interface Teardown {
  teardown(callback: () => void): void;
}

/** Makes an empty folder; its path is resolved (no links in it). */
export function makeFolder(t: Teardown): string {
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const folder = mkdtempSync(join(parent, 'pageferry-memory-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Makes and opens an image whose pages have data where `dataPages` says; each is filled with page % 255 + 1. */
export function makeImage(
  t: Teardown,
  { pageCount, dataPages }: { readonly pageCount: number; readonly dataPages: Iterable<number> },
): Image {
  const path = join(makeFolder(t), 'guest.ram');
  const fd = openSync(path, 'wx');
  ftruncateSync(fd, pageCount * PAGE_SIZE);
  for (const page of dataPages) writeSync(fd, dataPage(page), 0, PAGE_SIZE, page * PAGE_SIZE);
  closeSync(fd);
  const image = openImage({ path, writable: true });
  t.teardown(() => image.close());
  return image;
}

/** What makeImage wrote into a page. */
export function dataPage(page: number): Uint8Array {
  return new Uint8Array(PAGE_SIZE).fill((page % 255) + 1);
}

/** Pages that a file has allocated. */
export function allocatedPageCount(fd: number): number {
  return (fstatSync(fd).blocks * 512) / PAGE_SIZE;
}

/** The integers from first to end - 1. */
export function range(first: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index);
}
