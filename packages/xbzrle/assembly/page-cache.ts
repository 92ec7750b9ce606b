// The page cache: direct-mapped by the stream's own page index, one copy and its digest per slot.
// Invariant: an entry is a hit only if its digest equals the table's old digest of that page, which is what
// the destination has. So no path that sends a page without the cache can leave a stale base behind.
// A digest of 0 marks an empty entry; no page has that digest.
import { CACHE_ENTRY_BYTES, PAGE_BYTES, PAGE_SHIFT, align64 } from './layout';
import { isSameDigest } from './xxh3';

/** Generations that an entry is protected from another page by the age rule (QEMU 27af7d6ea5). */
const CACHED_PAGE_LIFETIME: u64 = 2;

const ENTRY_PAGE: usize = 0;
const ENTRY_AGE: usize = 4;
const ENTRY_DIGEST: usize = 8;

let slotCount: u32 = 0;
let entries: usize = 0;
let copies: usize = 0;
let newestEvicts: bool = false;

/** Places the cache at `start`; the result is the first byte behind it. */
export function placeCache(start: usize, cacheSlotCount: u32, evictsAlways: bool): usize {
  slotCount = cacheSlotCount;
  newestEvicts = evictsAlways;
  entries = start;
  copies = start + align64(cacheSlotCount * CACHE_ENTRY_BYTES);
  return copies + ((<usize>cacheSlotCount) << PAGE_SHIFT);
}

/** The entries' and the copies' first bytes: resizing copies survivors from one instance to another. */
export function cacheEntries(): usize {
  return entries;
}

export function cacheCopies(): usize {
  return copies;
}

export function hasCache(): bool {
  return slotCount != 0;
}

export function dropCache(): void {
  memory.fill(entries, 0, slotCount * CACHE_ENTRY_BYTES);
}

/** The cached copy of the page whose table digest is at `digest`, its age refreshed; 0 is a miss. */
export function lookup(page: u32, digest: usize, generation: u32): usize {
  const slot = page & (slotCount - 1);
  const entry = entries + slot * CACHE_ENTRY_BYTES;
  if (load<u32>(entry, ENTRY_PAGE) != page) return 0;
  if (isEmpty(entry) || !isSameDigest(entry + ENTRY_DIGEST, digest)) return 0;
  store<u32>(entry, generation, ENTRY_AGE);
  return copies + ((<usize>slot) << PAGE_SHIFT);
}

/** Keeps a copy of `from` (0: a zero page) as `page`; false if the age rule protects another page. */
export function insert(page: u32, from: usize, digest: usize, generation: u32): bool {
  const slot = page & (slotCount - 1);
  const entry = entries + slot * CACHE_ENTRY_BYTES;
  if (!newestEvicts && !isEmpty(entry) && load<u32>(entry, ENTRY_PAGE) != page) {
    if (<u64>load<u32>(entry, ENTRY_AGE) + CACHED_PAGE_LIFETIME > <u64>generation) return false;
  }
  const copy = copies + ((<usize>slot) << PAGE_SHIFT);
  if (from) memory.copy(copy, from, PAGE_BYTES);
  else memory.fill(copy, 0, PAGE_BYTES);
  store<u32>(entry, page, ENTRY_PAGE);
  store<u32>(entry, generation, ENTRY_AGE);
  store<u64>(entry, load<u64>(digest), ENTRY_DIGEST);
  store<u64>(entry, load<u64>(digest, 8), ENTRY_DIGEST + 8);
  return true;
}

function isEmpty(entry: usize): bool {
  return (load<u64>(entry, ENTRY_DIGEST) | load<u64>(entry, ENTRY_DIGEST + 8)) == 0;
}
