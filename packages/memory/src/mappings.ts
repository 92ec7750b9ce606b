// Which processes map an image, from /proc/PID/maps: the destination refuses an image that another process maps,
// the source checks that the named process maps it shared.
// Invariant: a process that may map the image is reported, or named as unreadable, never passed over. Nothing here stops
// a process from mapping the image a moment later.

import { readFileSync } from 'node:fs';
import { ioError } from './errors.ts';
import { isGone, mappingsOf, readAllMaps, type FileMapping, type MappedFile } from './proc-maps.ts';

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
  /** Processes whose mappings we may not see. */
  readonly unreadable: readonly number[];
}

/** Looks through every process. Throws MemoryError `io` if /proc itself cannot be read. */
export async function findMappings(file: MappedFile, { proc = '/proc' } = {}): Promise<Mappings> {
  const mappers: Mapper[] = [];
  const unreadable: number[] = [];
  for await (const { pid, maps } of readAllMaps(proc)) {
    if (maps === 'unreadable') unreadable.push(pid);
    const use = typeof maps === 'string' ? undefined : useOf(mappingsOf(maps.text, file));
    const startTime = use === undefined ? undefined : processStartTime(pid, { proc });
    // Without a start time the process ended meanwhile, and its mappings with it.
    if (use !== undefined && startTime !== undefined) mappers.push({ pid, startTime, ...use });
  }
  return { mappers, unreadable };
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

function useOf(
  mappings: readonly FileMapping[],
): { readonly isShared: boolean; readonly isWritable: boolean } | undefined {
  if (mappings.length === 0) return undefined;
  return {
    isShared: mappings.some(({ permissions }) => permissions[3] === 's'),
    isWritable: mappings.some(({ permissions }) => permissions[1] === 'w'),
  };
}
