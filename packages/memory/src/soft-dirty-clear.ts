// Whether soft-dirty bits can be used here, and clearing them (Linux, admin-guide/mm/soft-dirty.rst). Both are for whole
// processes, so they are done once for a migration, whatever the number of streams and blocks.
// Invariant: writing to clear_refs succeeds on a kernel without the bits too, so success proves nothing: that there are
// bits is seen in our own memory first.

import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { PAGE_SIZE } from '@pageferry/xbzrle';
import { errnoOf, ioError } from './errors.ts';
import { Pagemap, WRITTEN } from './pagemap.ts';
import { isGone } from './proc-maps.ts';

/** Clears the soft-dirty bits, and nothing else. */
const CLEAR_SOFT_DIRTY = '4';
/** More of our own memory than this need not be looked at. */
const PROBED_PAGES_MAX = 16_384;

/**
 * Why there are no soft-dirty bits to read, in words; undefined if there are. A process always has pages with the bit: it
 * writes to its stack all the time.
 */
export function findSoftDirtyProblem({ proc = '/proc' } = {}): string | undefined {
  try {
    return hasWrittenStack(proc)
      ? undefined
      : 'this kernel has no soft-dirty bits (CONFIG_MEM_SOFT_DIRTY): none is set in our own stack';
  } catch (error) {
    return `our own soft-dirty bits cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function hasWrittenStack(proc: string): boolean {
  const maps = readFileSync(`${proc}/self/maps`, 'utf8');
  const [, start = '', end = ''] = /^([0-9a-f]+)-([0-9a-f]+) rw.. .*\[stack\]$/m.exec(maps) ?? [];
  const address = Number.parseInt(start, 16);
  const pageCount = Math.min((Number.parseInt(end, 16) - address) / PAGE_SIZE, PROBED_PAGES_MAX);
  if (!(pageCount > 0)) throw new Error('there is no stack in /proc/self/maps');
  const flags = new Uint8Array(pageCount);
  const pagemap = new Pagemap('self', { proc });
  try {
    pagemap.addFlags(address, pageCount, flags, 0);
  } finally {
    pagemap.close();
  }
  return flags.some((flag) => (flag & WRITTEN) !== 0);
}

/** Why the bits of a process may not be read or cleared, in words; undefined if they may, or if it has ended. */
export function findAccessProblem(pid: number, { proc = '/proc' } = {}): string | undefined {
  const needed = [
    ['pagemap', constants.O_RDONLY],
    ['clear_refs', constants.O_WRONLY],
  ] as const;
  for (const [name, flags] of needed) {
    const path = `${proc}/${pid}/${name}`;
    try {
      closeSync(openSync(path, flags));
    } catch (error) {
      if (!isGone(error)) return `${path} cannot be opened: ${errnoOf(error) ?? String(error)}`;
    }
  }
  return undefined;
}

/**
 * Clears the bits of all memory of these processes; one that has ended has none. Returns when no write that is still to
 * come goes unseen. What a device was told to write before (DMA into pinned pages) is not seen by it, so the guest must be
 * stopped, which waits for such requests. Throws MemoryError `io`.
 */
export function clearSoftDirty(pids: Iterable<number>, { proc = '/proc' } = {}): void {
  for (const pid of new Set(pids)) clear(`${proc}/${pid}/clear_refs`);
}

function clear(path: string): void {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_WRONLY);
    writeSync(fd, CLEAR_SOFT_DIRTY);
  } catch (error) {
    if (!isGone(error)) throw ioError('clear the soft-dirty bits by', path, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
