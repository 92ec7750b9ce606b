// Which processes map an image, from /proc/PID/maps: the destination refuses an image that another process maps,
// the source checks that the named process maps it shared.
// Invariant: a process that may map the image is reported or counted as unreadable, never passed over. A mapping
// matches by device and inode, or by the resolved path alone: on overlay and btrfs a mapping shows another device
// than fstat does. Nothing here stops a process from mapping the image a moment later.

import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { errnoOf, ioError } from './errors.ts';
import { isSameFile, type FileIdentity } from './file-identity.ts';

/** A process that maps the image at least once. */
export interface Mapper {
  readonly pid: number;
  /** See processStartTime. */
  readonly startTime: number;
  /** True if any of its mappings is MAP_SHARED. */
  readonly isShared: boolean;
  /** True if any of its mappings is writable. */
  readonly isWritable: boolean;
}

/** All that map an image. */
export interface Mappings {
  readonly mappers: readonly Mapper[];
  /** Number of processes whose mappings we may not see. */
  readonly unreadableCount: number;
}

/** The image to look for: its identity and its resolved path. */
export interface MappedFile extends FileIdentity {
  readonly path: string;
}

/**
 * How long processes are looked through at a stretch. Reading their maps synchronously takes 8 ms for 96 processes,
 * through promises 40; in slices, so that a host with thousands of processes does not keep its daemon from answering.
 */
const SLICE_MS = 4;

/** Looks through every process. Throws MemoryError `io` if /proc itself cannot be read. */
export async function findMappings(file: MappedFile, { proc = '/proc' } = {}): Promise<Mappings> {
  const mappers: Mapper[] = [];
  let unreadableCount = 0;
  let sliceEndMs = performance.now() + SLICE_MS;
  for (const pid of await listProcesses(proc)) {
    if (performance.now() >= sliceEndMs) {
      await turn();
      sliceEndMs = performance.now() + SLICE_MS;
    }
    const maps = readMaps(`${proc}/${pid}/maps`);
    if (maps === 'unreadable') unreadableCount += 1;
    const use = maps === 'unreadable' || maps === 'gone' ? undefined : useOf(maps.text, file);
    const startTime = use === undefined ? undefined : processStartTime(pid, { proc });
    // Without a start time the process ended meanwhile, and its mappings with it.
    if (use !== undefined && startTime !== undefined) mappers.push({ pid, startTime, ...use });
  }
  return { mappers, unreadableCount };
}

/**
 * When a process started, in clock ticks since boot (field 22 of /proc/PID/stat): with the pid its identity.
 * Undefined if there is no such process.
 */
export function processStartTime(pid: number, { proc = '/proc' } = {}): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`${proc}/${pid}/stat`, 'latin1');
  } catch (error) {
    if (isGone(error)) return undefined;
    throw ioError('identify a process that maps', `${proc}/${pid}/stat`, error);
  }
  // The second field, the name in parentheses, may itself contain spaces and parentheses: count after the last.
  const fieldsFromThird = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTime = Number(fieldsFromThird[22 - 3]);
  return Number.isSafeInteger(startTime) ? startTime : undefined;
}

async function listProcesses(proc: string): Promise<number[]> {
  try {
    const names = await readdir(proc);
    return names.filter((name) => /^[1-9][0-9]*$/.test(name)).map(Number);
  } catch (error) {
    throw ioError('list the processes that map', proc, error);
  }
}

function readMaps(path: string): { readonly text: string } | 'gone' | 'unreadable' {
  try {
    return { text: readFileSync(path, 'utf8') };
  } catch (error) {
    return isGone(error) ? 'gone' : 'unreadable';
  }
}

/** ENOENT when opened, ESRCH when read: the process ended, or is one of the kernel's and has no memory. */
function isGone(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOENT' || errno === 'ESRCH';
}

function useOf(maps: string, file: MappedFile): { isShared: boolean; isWritable: boolean } | undefined {
  let use: { isShared: boolean; isWritable: boolean } | undefined;
  for (const line of maps.split('\n')) {
    const mapping = parseMapping(line);
    if (mapping === undefined || !(isSameFile(mapping, file) || mapping.path === file.path)) continue;
    use = {
      isShared: mapping.permissions[3] === 's' || use?.isShared === true,
      isWritable: mapping.permissions[1] === 'w' || use?.isWritable === true,
    };
  }
  return use;
}

interface Mapping extends MappedFile {
  readonly permissions: string;
}

/** A line such as `7f00…-7f01… rw-s 00000000 00:1a 4711    /dev/shm/guest.ram`; undefined without a file. */
function parseMapping(line: string): Mapping | undefined {
  const match = /^[0-9a-f]+-[0-9a-f]+ (\S{4}) [0-9a-f]+ ([0-9a-f]+:[0-9a-f]+) ([0-9]+) *(.*)$/.exec(line);
  const [, permissions, device, inode, path] = match ?? [];
  if (permissions === undefined || device === undefined || inode === undefined) return undefined;
  return inode === '0' ? undefined : { permissions, device, inode, path: path ?? '' };
}
