// Who writes into images through memory: every process that maps one shared and writable, and where in its memory the
// image is. The soft-dirty tracker clears, and reads, the bits of exactly these.
// Invariant: a process that may be one is listed or counted as unreadable, never passed over. A process that writes
// with pwrite, or maps an image later, is not in the list; the tracker's conditions are there for these.

import { PAGE_SIZE } from '@pageferry/xbzrle';
import { processStartTime } from './mappings.ts';
import { mappingsOf, readAllMaps, type FileMapping, type MappedFile } from './proc-maps.ts';

/** Pages of an image in a process's memory. */
export interface WritableRange {
  /** Of the first page, bytes. */
  readonly address: number;
  /** Index in the block. */
  readonly firstPage: number;
  readonly pageCount: number;
}

/** A process that maps an image shared and writable. Plain data: it goes to the engine. */
export interface Writer {
  readonly pid: number;
  /** See processStartTime. */
  readonly startTime: number;
  /** In the order of their addresses. */
  readonly ranges: readonly WritableRange[];
}

/** The writers of several images. */
export interface Writers {
  /** A list for each image, in the order asked for, by pid. */
  readonly images: readonly (readonly Writer[])[];
  /** Number of processes whose mappings we may not see. */
  readonly unreadableCount: number;
}

/** Looks through every process once. Throws MemoryError `io` if /proc itself cannot be read. */
export async function findWriters(files: readonly MappedFile[], { proc = '/proc' } = {}): Promise<Writers> {
  const images: Writer[][] = files.map(() => []);
  let unreadableCount = 0;
  for await (const { pid, maps } of readAllMaps(proc)) {
    if (maps === 'unreadable') unreadableCount += 1;
    if (typeof maps === 'string') continue;
    for (const [index, file] of files.entries()) {
      const ranges = writableRanges(mappingsOf(maps.text, file));
      const startTime = ranges.length === 0 ? undefined : processStartTime(pid, { proc });
      // Without a start time the process ended meanwhile, and its mappings with it.
      if (startTime !== undefined) images[index]?.push({ pid, startTime, ranges });
    }
  }
  return { images, unreadableCount };
}

/** The parts of a file that can be written through these mappings and reach it. */
export function writableRanges(mappings: readonly FileMapping[]): WritableRange[] {
  return mappings
    .filter(({ permissions }) => permissions[1] === 'w' && permissions[3] === 's')
    .map(({ address, endAddress, offset }) => ({
      address,
      firstPage: offset / PAGE_SIZE,
      pageCount: (endAddress - address) / PAGE_SIZE,
    }));
}
