// What soft-dirty-conditions.ts judges, read from /proc: taken at the clear, before the first scan, and again at the end,
// after the pause.
// Invariant: what cannot be read is a fact too (in words), never left out. Nothing is concluded here.

import { constants, readFileSync, readlinkSync, statfsSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { identityOf, isSameFile } from './file-identity.ts';
import type { ImageHandle } from './image-file.ts';
import { isGone, listProcesses, mappingsOf, type MappedFile } from './proc-maps.ts';
import { findWriters, type Writer } from './writers.ts';

/** An image that can be written unseen. */
export type WatchedImage = ImageHandle & MappedFile;

/** How one process maps one image, from /proc/PID/smaps. */
export interface MappingFacts {
  readonly pid: number;
  /** Its pages cannot be reclaimed: every mapping of the image there is locked (mlock). */
  readonly isLocked: boolean;
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
  /** Processes that have the image open for writing: they can write without a mapping. */
  readonly openers: readonly number[];
}

/** All that is known at one moment. */
export interface SoftDirtyFacts {
  readonly images: readonly ImageFacts[];
  /** Processes whose mappings or descriptors we may not see. */
  readonly unreadableCount: number;
  readonly swapBytes: number;
  /** `pswpout` and `thp_split_*` of /proc/vmstat. */
  readonly counters: Readonly<Record<string, number>>;
}

/** Reads them. Throws MemoryError `io`, or what the system says of /proc/meminfo and /proc/vmstat. */
export async function readSoftDirtyFacts(
  images: readonly WatchedImage[],
  { proc = '/proc', fileSystemType = fileSystemTypeOf } = {},
): Promise<SoftDirtyFacts> {
  const { images: writers, unreadableCount } = await findWriters(images, { proc });
  const openers = await findOpeners(images, proc);
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
      openers: openers.pids[index] ?? [],
    });
  }
  return {
    images: facts,
    unreadableCount: Math.max(unreadableCount, openers.unreadableCount),
    swapBytes: Number(swap?.[1] ?? NaN) * 1024,
    counters: await readCounters(proc),
  };
}

/** `f_type` of statfs(2), of the file that is open, whatever its name leads to. */
export function fileSystemTypeOf({ fd }: ImageHandle): number {
  return statfsSync(`/proc/self/fd/${fd}`).type;
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
      isLocked: entries.length > 0 && entries.every((entry) => /^VmFlags:.*\blo\b/m.test(entry)),
      hugeBytes: entries.reduce((sum, entry) => sum + hugeBytes(entry), 0),
      isHugeEligible: eligible.includes(undefined) ? undefined : eligible.some((value) => value !== '0'),
    },
  ];
}

function hugeBytes(entry: string): number {
  const sizes = entry.matchAll(/^(?:AnonHugePages|ShmemPmdMapped|FilePmdMapped):\s+(\d+) kB$/gm);
  return [...sizes].reduce((sum, [, kilobytes]) => sum + Number(kilobytes) * 1024, 0);
}

/** Finds the processes that have an image open for writing, whichever name it was opened by. */
async function findOpeners(
  images: readonly WatchedImage[],
  proc: string,
): Promise<{ readonly pids: readonly (readonly number[])[]; readonly unreadableCount: number }> {
  const pids = images.map(() => new Set<number>());
  let unreadableCount = 0;
  for (const pid of await listProcesses(proc)) {
    try {
      const fds = await readdir(`${proc}/${pid}/fd`);
      for (const fd of fds) {
        const index = imageBehind(`${proc}/${pid}/fd/${fd}`, images);
        if (index >= 0 && isOpenForWriting(`${proc}/${pid}/fdinfo/${fd}`)) pids[index]?.add(pid);
      }
    } catch (error) {
      if (!isGone(error)) unreadableCount += 1;
    }
  }
  return { pids: pids.map((each) => [...each].toSorted((a, b) => a - b)), unreadableCount };
}

/** Index of the image that a descriptor's link leads to, or -1. Sockets, pipes and the like have no path. */
function imageBehind(link: string, images: readonly WatchedImage[]): number {
  try {
    if (!readlinkSync(link).startsWith('/')) return -1;
    const identity = identityOf(statSync(link, { bigint: true }));
    return images.findIndex((image) => isSameFile(image, identity));
  } catch (error) {
    // Closed meanwhile.
    if (isGone(error)) return -1;
    throw error;
  }
}

function isOpenForWriting(fdinfo: string): boolean {
  try {
    const [, flags = '0'] = /^flags:\s+([0-7]+)$/m.exec(readFileSync(fdinfo, 'utf8')) ?? [];
    return (Number.parseInt(flags, 8) & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}
