// What /proc says about the mappings of processes: which there are, and the lines of /proc/PID/maps.
// Invariant: a process that may not be looked into is told apart from one that has ended, so that nobody passes over a
// mapping. `proc` is where procfs is; tests lay out a folder like it.

import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
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

/** The pids there are now. Throws MemoryError `io` if `proc` cannot be read. */
export async function listProcesses(proc: string): Promise<number[]> {
  try {
    const names = await readdir(proc);
    return names.filter((name) => /^[1-9][0-9]*$/.test(name)).map(Number);
  } catch (error) {
    throw ioError('list the processes that map', proc, error);
  }
}

/** The mappings of the file in one process, in the order of their addresses. */
export async function readMappings(
  pid: number,
  file: MappedFile,
  { proc = '/proc' } = {},
): Promise<readonly FileMapping[] | 'gone' | 'unreadable'> {
  const maps = await readMaps(`${proc}/${pid}/maps`);
  return typeof maps === 'string' ? maps : mappingsOf(maps.text, file);
}

/** Text of a maps file. */
async function readMaps(path: string): Promise<{ readonly text: string } | 'gone' | 'unreadable'> {
  try {
    return { text: await readFile(path, 'utf8') };
  } catch (error) {
    return isGone(error) ? 'gone' : 'unreadable';
  }
}

/** As readMaps, for where waiting would cost more. */
export function readMapsSync(path: string): { readonly text: string } | 'gone' | 'unreadable' {
  try {
    return { text: readFileSync(path, 'utf8') };
  } catch (error) {
    return isGone(error) ? 'gone' : 'unreadable';
  }
}

/** As readMappings, for where waiting would cost more. */
export function readMappingsSync(
  pid: number,
  file: MappedFile,
  { proc = '/proc' } = {},
): readonly FileMapping[] | 'gone' | 'unreadable' {
  const maps = readMapsSync(`${proc}/${pid}/maps`);
  return typeof maps === 'string' ? maps : mappingsOf(maps.text, file);
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
