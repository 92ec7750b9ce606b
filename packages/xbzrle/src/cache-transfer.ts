// Moves cached pages from one kernel's memory to another's when the cache is resized. WebAssembly cannot reach
// two memories, so this runs outside the kernel; it knows the entry's layout from assembly/page-cache.ts.
import { PAGE_SIZE } from './constants.ts';

/** A cache as it lies in memory: entries of six words (page, age, four of digest) and the copies, by slot. */
export type CacheMemory = { readonly entries: Uint32Array; readonly copies: Uint8Array };

const ENTRY_WORDS = 6;
const PAGE_WORD = 0;
const AGE_WORD = 1;
const DIGEST_WORD = 2;

/** Copies the entries of `from` into the empty cache `to`; where two meet, the one with the higher age stays. */
export function copySurvivors(from: CacheMemory, to: CacheMemory): void {
  const slotCount = to.entries.length / ENTRY_WORDS;
  if (slotCount === 0) return;
  for (let old = 0; old < from.entries.length; old += ENTRY_WORDS) {
    const entry = from.entries.subarray(old, old + ENTRY_WORDS);
    if (isEmpty(entry)) continue;
    const slot = (entry[PAGE_WORD] ?? 0) % slotCount;
    const target = to.entries.subarray(slot * ENTRY_WORDS, (slot + 1) * ENTRY_WORDS);
    if (!isEmpty(target) && (target[AGE_WORD] ?? 0) >= (entry[AGE_WORD] ?? 0)) continue;
    target.set(entry);
    const copyAt = (old / ENTRY_WORDS) * PAGE_SIZE;
    to.copies.set(from.copies.subarray(copyAt, copyAt + PAGE_SIZE), slot * PAGE_SIZE);
  }
}

function isEmpty(entry: Uint32Array): boolean {
  return entry.subarray(DIGEST_WORD).every((word) => word === 0);
}
