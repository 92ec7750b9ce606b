// Whether soft-dirty bits have seen every write, so that the final scan may be left out: pure, facts in, reasons out.
// Invariant: an empty answer is a proof, and only what was found as it must be counts for it; what is not known is a
// condition that failed. The facts are taken before the first scan of the attempt begins and again when the guest is
// paused: what happened before the first was seen by the scan, and a bit that is lost between the second and the reading
// of it leaves a page without a mapping, which `written-or-unmapped` names.

import { isDeepStrictEqual } from 'node:util';
import { HUGETLBFS_MAGIC, TMPFS_MAGIC } from './file-system.ts';
import type { ImageFacts, MappingFacts, SoftDirtyFacts } from './soft-dirty-facts.ts';
import type { WatchedWriters } from './soft-dirty-tracker.ts';

/**
 * The conditions that do not hold, in words, at one moment. `guestReasons`: why the guest itself may write to its memory
 * by other ways, as it says.
 */
export function findFailedConditions(facts: SoftDirtyFacts, guestReasons: readonly string[]): string[] {
  return [
    ...guestReasons,
    ...facts.images.flatMap((image) => imageReasons(image, facts.swapBytes)),
    ...(facts.unreadableCount === 0
      ? []
      : [`the mappings of ${facts.unreadableCount} processes cannot be read`]),
  ];
}

/** Whether the bits are read of all that write, at one moment. `watched`: whose they are, in the order of the images. */
export function findUnwatched({ images }: SoftDirtyFacts, watched: readonly WatchedWriters[]): string[] {
  return images.flatMap(({ path, writers }, index) =>
    isDeepStrictEqual(writers, watched[index]?.writers)
      ? []
      : [`the processes that map ${path}, or their mappings, are others than those whose bits are read`],
  );
}

/** And those that do not hold between two moments. `after` is judged by itself too. */
export function findFailedSince(
  before: SoftDirtyFacts,
  after: SoftDirtyFacts,
  guestReasons: readonly string[],
): string[] {
  const names = new Set([...Object.keys(before.counters), ...Object.keys(after.counters)]);
  return [
    ...findFailedConditions(after, guestReasons),
    ...before.images.flatMap((image, index) => changeReasons(image, after.images[index])),
    ...['pswpout', ...[...names].filter((name) => name !== 'pswpout').toSorted()].flatMap((name) =>
      counterReasons(name, before.counters[name], after.counters[name]),
    ),
  ];
}

function imageReasons(image: ImageFacts, swapBytes: number): string[] {
  const { path, fileSystemType, writers, mappings, isTouched } = image;
  const isLocked = mappings.length === writers.length && mappings.every((mapping) => mapping.isLocked);
  const reasons: string[] = [];
  if (fileSystemType === HUGETLBFS_MAGIC)
    reasons.push(`${path} is on hugetlbfs, whose pages have no such bits`);
  else if (fileSystemType !== TMPFS_MAGIC) reasons.push(`${path} is not on tmpfs`);
  if (writers.length === 0) reasons.push(`no process maps ${path} shared and writable`);
  if (!isLocked && !(swapBytes === 0))
    reasons.push(`there is swap, and ${path} is not locked in memory: what is reclaimed loses its bits`);
  if (mappings.length < writers.length) reasons.push(`how ${path} is mapped cannot be read`);
  reasons.push(...mappings.flatMap((mapping) => mappingReasons(path, mapping)));
  if (isTouched === undefined) reasons.push(`whether ${path} is written by calls is not known`);
  else if (isTouched)
    reasons.push(`${path} was opened, written by a call or punched since the clear: that sets no bit`);
  return reasons;
}

function mappingReasons(path: string, { pid, isKeptFromForks, ...huge }: MappingFacts): string[] {
  const { hugeBytes, isHugeEligible } = huge;
  const reasons: string[] = [];
  if (!isKeptFromForks)
    reasons.push(`a process that ${pid} forks may write to ${path} and end (no MADV_DONTFORK)`);
  if (hugeBytes > 0) reasons.push(`process ${pid} maps ${hugeBytes} bytes of ${path} in huge pages`);
  else if (isHugeEligible === undefined) reasons.push(`whether ${path} may get huge pages is not known`);
  else if (isHugeEligible)
    reasons.push(`${path} may get huge pages, which lose bits when they are made and split`);
  return reasons;
}

function changeReasons(before: ImageFacts, after: ImageFacts | undefined): string[] {
  if (after?.identity !== before.identity) return [`${before.path} is another file than at the clear`];
  if (isDeepStrictEqual(after.writers, before.writers)) return [];
  return [
    `the processes that map ${before.path}, or their mappings, are others than at the clear (${pidsOf(before)}; now ${pidsOf(after)})`,
  ];
}

function pidsOf({ writers }: ImageFacts): string {
  return writers.map(({ pid }) => pid).join(', ') || 'none';
}

function counterReasons(name: string, before: number | undefined, after: number | undefined): string[] {
  if (before === undefined || after === undefined) return [`${name} of /proc/vmstat cannot be read`];
  return before === after ? [] : [`${name} of /proc/vmstat went from ${before} to ${after}`];
}
