// One batch at the source: each page's zero test, digest, delta and record, in one call from JavaScript.
// Everything is derived from the same copied bytes in the slot's input area (the private snapshot); otherwise
// a page that changes and changes back between digest and copy would be lost.
import { hasCache, insert, lookup, placeCache } from './page-cache';
import {
  appendDelta,
  appendNormal,
  appendZero,
  closeFrame,
  nextPayload,
  openFrame,
  placeSlots,
  slotInput,
} from './frame';
import {
  COUNTERS,
  DELTA_LENGTH_BYTES,
  DIGESTS,
  NEW_DIGEST,
  PAGE_BYTES,
  RECORD_HEADER_BYTES,
  ZERO_DIGEST,
  align64,
} from './layout';
import { replaceDigest } from './root';
import { OVERFLOW, UNCHANGED, encodePage } from './xbzrle';
import { digestToNew, isSameDigest } from './xxh3';
import { isZeroPage } from './zero';

const COUNT_NORMAL: usize = COUNTERS;
const COUNT_ZERO: usize = COUNTERS + 8;
const COUNT_UNCHANGED: usize = COUNTERS + 16;
const COUNT_DELTA: usize = COUNTERS + 24;
const COUNT_DELTA_BYTES: usize = COUNTERS + 32;
const COUNT_MISS: usize = COUNTERS + 40;
const COUNT_OVERFLOW: usize = COUNTERS + 48;
const COUNT_REFUSED: usize = COUNTERS + 56;

/** Lays out cache and slots of a source instance; its memory is zero. */
export function placeSource(headroomBytes: u32, cacheSlotCount: u32, evictsAlways: bool): void {
  placeSlots(placeCache(align64(__heap_base), cacheSlotCount, evictsAlways), headroomBytes);
}

/** Encodes the pages in the slot's input area; the result is how many of them changed. */
export function encodeBatch(
  slot: i32,
  firstRecordPage: u32,
  firstBlockPage: u32,
  pageCount: i32,
  generation: u32,
  useXbzrle: bool,
  fillCache: bool,
): i32 {
  const usesCache = useXbzrle && hasCache();
  let changedCount = 0;
  let page = slotInput(slot);
  let entry: usize = DIGESTS;
  openFrame(slot);
  for (let i = 0; i < pageCount; i++, page += PAGE_BYTES, entry += 16) {
    const isZero = isZeroPage(page);
    digestToNew(page, isZero);
    if (isSameDigest(entry, NEW_DIGEST)) continue;
    const recordPage = firstRecordPage + i;
    if (isZero) encodeZero(recordPage, generation, usesCache && fillCache);
    else if (usesCache) encodeCached(recordPage, page, entry, generation, fillCache);
    else encodeRaw(recordPage, page);
    replaceDigest(entry, NEW_DIGEST, firstBlockPage + i);
    changedCount++;
  }
  closeFrame(pageCount);
  count(COUNT_UNCHANGED, pageCount - changedCount);
  return changedCount;
}

/** The same for pages known to be zero (holes): nothing is read. */
export function encodeZeroBatch(
  slot: i32,
  firstRecordPage: u32,
  firstBlockPage: u32,
  pageCount: i32,
  generation: u32,
  useXbzrle: bool,
  fillCache: bool,
): i32 {
  const learns = useXbzrle && fillCache && hasCache();
  let changedCount = 0;
  let entry: usize = DIGESTS;
  openFrame(slot);
  for (let i = 0; i < pageCount; i++, entry += 16) {
    if (isSameDigest(entry, ZERO_DIGEST)) continue;
    encodeZero(firstRecordPage + i, generation, learns);
    replaceDigest(entry, ZERO_DIGEST, firstBlockPage + i);
    changedCount++;
  }
  closeFrame(pageCount);
  count(COUNT_UNCHANGED, pageCount - changedCount);
  return changedCount;
}

/** A zero page is a base for later deltas as any other: the cache learns it (QEMU 6d3cb1f970). */
function encodeZero(page: u32, generation: u32, learns: bool): void {
  appendZero(page);
  count(COUNT_ZERO, 1);
  if (learns) remember(page, 0, ZERO_DIGEST, generation);
}

function encodeCached(recordPage: u32, page: usize, entry: usize, generation: u32, fillCache: bool): void {
  const base = lookup(recordPage, entry, generation);
  if (base) {
    const length = encodePage(base, page, nextPayload(), PAGE_BYTES);
    // The base has the table's digest and the page has not: they differ.
    if (length == UNCHANGED) unreachable();
    if (length != OVERFLOW) {
      appendDelta(recordPage, length);
      count(COUNT_DELTA, 1);
      count(COUNT_DELTA_BYTES, RECORD_HEADER_BYTES + DELTA_LENGTH_BYTES + length);
    } else {
      count(COUNT_OVERFLOW, 1);
      encodeRaw(recordPage, page);
    }
  } else {
    count(COUNT_MISS, 1);
    encodeRaw(recordPage, page);
  }
  if (fillCache) remember(recordPage, page, NEW_DIGEST, generation);
}

function encodeRaw(recordPage: u32, page: usize): void {
  appendNormal(recordPage, page);
  count(COUNT_NORMAL, 1);
}

function remember(page: u32, from: usize, digest: usize, generation: u32): void {
  if (!insert(page, from, digest, generation)) count(COUNT_REFUSED, 1);
}

/** Counters are floats: exact to 2^53 and read from JavaScript without BigInt. */
function count(counter: usize, by: i32): void {
  store<f64>(counter, load<f64>(counter) + <f64>by);
}
