// What soft-dirty-conditions.ts judges, read from /proc: taken at the clear, before the first scan, and again at the end,
// after the pause.
// Invariant: what cannot be read is a fact too (in words), never left out. Nothing is concluded here.

import { readFile } from 'node:fs/promises';
import { fileSystemTypeOf } from './file-system.ts';
import type { ImageHandle } from './image-file.ts';
import { mappingsOf, type MappedFile } from './proc-maps.ts';
import { findWriters, type Writer } from './writers.ts';

/** An image that can be written unseen. */
export type WatchedImage = ImageHandle & MappedFile;

/** How one process maps one image, from /proc/PID/smaps. */
export interface MappingFacts {
  readonly pid: number;
  /** Its pages cannot be reclaimed: every mapping of the image there is locked (mlock). */
  readonly isLocked: boolean;
  /** A process that it forks does not have the mapping (MADV_DONTFORK). */
  readonly isKeptFromForks: boolean;
  /** In huge pages now, bytes. */
  readonly hugeBytes: number;
  /** A mapping may get huge pages (THPeligible); undefined where the kernel does not say. */
  readonly isHugeEligible: boolean | undefined;
}

/** One image. */
export interface ImageFacts {
  readonly path: string;
  /** `device:inode`. */
  readonly identity: string;
  /** `f_type` of statfs(2). */
  readonly fileSystemType: number;
  readonly writers: readonly Writer[];
  /** One for each writer that could be looked into. */
  readonly mappings: readonly MappingFacts[];
  /** Somebody opened the file, wrote to it by a call or made a hole since the clear; undefined where that is not known. */
  readonly isTouched: boolean | undefined;
}

/** All that is known at one moment. */
export interface SoftDirtyFacts {
  readonly images: readonly ImageFacts[];
  /** Processes whose mappings we may not see. */
  readonly unreadableCount: number;
  readonly swapBytes: number;
  /** `pswpout` and `thp_split_*` of /proc/vmstat. */
  readonly counters: Readonly<Record<string, number>>;
}

/** What is asked of the image's watch (image-watch.ts). */
export interface Watched {
  readonly isTouched: boolean | undefined;
}

/** Reads them; `watches` in the order of the images. Throws MemoryError `io`, or what the system says of /proc/meminfo and /proc/vmstat. */
export async function readSoftDirtyFacts(
  images: readonly WatchedImage[],
  watches: readonly Watched[],
  { proc = '/proc', fileSystemType = fileSystemTypeOf } = {},
): Promise<SoftDirtyFacts> {
  const { images: writers, unreadableCount } = await findWriters(images, { proc });
  const swap = /^SwapTotal:\s+(\d+) kB$/m.exec(await readFile(`${proc}/meminfo`, 'utf8'));
  const facts: ImageFacts[] = [];
  for (const [index, image] of images.entries()) {
    const ours = writers[index] ?? [];
    facts.push({
      path: image.path,
      identity: `${image.device}:${image.inode}`,
      fileSystemType: fileSystemType(image),
      writers: ours,
      mappings: (await Promise.all(ours.map(({ pid }) => readMappingFacts(pid, image, proc)))).flat(),
      isTouched: watches[index]?.isTouched,
    });
  }
  return {
    images: facts,
    unreadableCount,
    swapBytes: Number(swap?.[1] ?? NaN) * 1024,
    counters: await readCounters(proc),
  };
}

async function readCounters(proc: string): Promise<Record<string, number>> {
  const vmstat = await readFile(`${proc}/vmstat`, 'utf8');
  return Object.fromEntries(
    [...vmstat.matchAll(/^(pswpout|thp_split_\w+) (\d+)$/gm)].map(([, name, count]) => [name, Number(count)]),
  );
}

async function readMappingFacts(pid: number, file: MappedFile, proc: string): Promise<MappingFacts[]> {
  let smaps: string;
  try {
    smaps = await readFile(`${proc}/${pid}/smaps`, 'utf8');
  } catch {
    return [];
  }
  // A mapping's first line is that of maps, and what is said of it follows.
  const entries = smaps
    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
    .filter((entry) => mappingsOf(entry, file).length > 0);
  const eligible = entries.map((entry) => /^THPeligible:\s+(\d+)$/m.exec(entry)?.[1]);
  return [
    {
      pid,
      isLocked: haveFlag(entries, 'lo'),
      isKeptFromForks: haveFlag(entries, 'dc'),
      hugeBytes: entries.reduce((sum, entry) => sum + hugeBytes(entry), 0),
      isHugeEligible: eligible.includes(undefined) ? undefined : eligible.some((value) => value !== '0'),
    },
  ];
}

/** Flags of proc(5), two letters each. */
function haveFlag(entries: readonly string[], flag: string): boolean {
  const flags = entries.map((entry) => /^VmFlags: (.*)$/m.exec(entry)?.[1]?.split(' ') ?? []);
  return flags.length > 0 && flags.every((each) => each.includes(flag));
}

function hugeBytes(entry: string): number {
  const sizes = entry.matchAll(/^(?:AnonHugePages|ShmemPmdMapped|FilePmdMapped):\s+(\d+) kB$/gm);
  return [...sizes].reduce((sum, [, kilobytes]) => sum + Number(kilobytes) * 1024, 0);
}
