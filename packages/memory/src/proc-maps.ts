// What /proc says about the mappings of processes: which there are, and the lines of /proc/PID/maps.
// Invariant: a process that may not be looked into is told apart from one that has ended, so that nobody passes over a
// mapping. `proc` is where procfs is; tests lay out a folder like it.

import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { errnoOf, ioError } from './errors.ts';
import { isSameFile, type FileIdentity } from './file-identity.ts';

/** The image to look for: its identity and its resolved path. */
export interface MappedFile extends FileIdentity {
  readonly path: string;
}

/** A line of /proc/PID/maps that has a file. Addresses and offset in bytes; all are multiples of the page size. */
export interface FileMapping extends MappedFile {
  readonly address: number;
  readonly endAddress: number;
  readonly offset: number;
  /** `rw-s` and the like. */
  readonly permissions: string;
}

/** The text of a maps file. `gone`: the process ended, or is one of the kernel's. */
export type Maps = { readonly text: string } | 'gone' | 'unreadable';

/**
 * How long processes are looked through at a stretch. Reading their maps synchronously takes 8 ms for 96 processes,
 * through promises 40; in slices, so that a host with thousands of processes does not keep its daemon from answering.
 */
const SLICE_MS = 4;

/** Reads every process's mappings, by pid. Throws MemoryError `io` if `proc` cannot be read. */
export async function* readAllMaps(
  proc: string,
): AsyncGenerator<{ readonly pid: number; readonly maps: Maps }, void, undefined> {
  let sliceEndMs = performance.now() + SLICE_MS;
  for (const pid of await listProcesses(proc)) {
    if (performance.now() >= sliceEndMs) {
      await turn();
      sliceEndMs = performance.now() + SLICE_MS;
    }
    yield { pid, maps: readMaps(`${proc}/${pid}/maps`) };
  }
}

/** The mappings of the file in one process, in the order of their addresses. */
export function readMappings(
  pid: number,
  file: MappedFile,
  { proc = '/proc' } = {},
): readonly FileMapping[] | 'gone' | 'unreadable' {
  const maps = readMaps(`${proc}/${pid}/maps`);
  return typeof maps === 'string' ? maps : mappingsOf(maps.text, file);
}

async function listProcesses(proc: string): Promise<number[]> {
  try {
    const names = await readdir(proc);
    const pids = names.filter((name) => /^[1-9][0-9]*$/.test(name)).map(Number);
    return pids.toSorted((a, b) => a - b);
  } catch (error) {
    throw ioError('list the processes that map', proc, error);
  }
}

function readMaps(path: string): Maps {
  try {
    return { text: readFileSync(path, 'utf8') };
  } catch (error) {
    return isGone(error) ? 'gone' : 'unreadable';
  }
}

/**
 * The lines that map the file: by device and inode, or by the resolved path alone, because on overlay and btrfs a mapping
 * shows another device than fstat does.
 */
export function mappingsOf(maps: string, file: MappedFile): readonly FileMapping[] {
  // Most processes do not map it, and taking their lines apart is what costs.
  if (!maps.includes(` ${file.inode}`) && !maps.includes(file.path)) return [];
  return maps.split('\n').flatMap((line) => {
    const mapping = parseMapping(line);
    return mapping !== undefined && (isSameFile(mapping, file) || mapping.path === file.path)
      ? [mapping]
      : [];
  });
}

/** ENOENT when opened, ESRCH when read: the process ended, or is one of the kernel's and has no memory. */
export function isGone(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOENT' || errno === 'ESRCH';
}

/** A line such as `7f00…-7f01… rw-s 00000000 00:1a 4711    /dev/shm/guest.ram`; undefined without a file. */
function parseMapping(line: string): FileMapping | undefined {
  const match = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) ([0-9]+) *(.*)$/.exec(
    line,
  );
  const [, address, endAddress, permissions, offset, device, inode, path] = match ?? [];
  if (address === undefined || endAddress === undefined || permissions === undefined) return undefined;
  if (offset === undefined || device === undefined || inode === undefined || inode === '0') return undefined;
  return {
    address: hexadecimal(address),
    endAddress: hexadecimal(endAddress),
    offset: hexadecimal(offset),
    permissions,
    device,
    inode,
    path: path ?? '',
  };
}

/** Exact beyond 2^53 too: the low twelve bits are 0. */
function hexadecimal(digits: string): number {
  return Number.parseInt(digits, 16);
}
