// XBZRLE in the kernel: byte for byte what src/codec.ts does, which is the reference and states the grammar.
// Encoding first makes one bit per byte that differs, skipping equal 64-byte blocks by one test, then walks the
// set bits with ctz. The limit is checked before every write; only slack behind the limit is ever scribbled on.
import { PAGE_BYTES } from './layout';

export const UNCHANGED: i32 = 0;
export const OVERFLOW: i32 = -1;

/** One mask per 64-byte block, with a zero mask before the first and behind the last. */
const MASKS: usize = memory.data(528, 16) + 8;

/** Encodes `newPage` against `oldPage` into `out`: length, UNCHANGED, or OVERFLOW beyond `limit` bytes. */
export function encodePage(oldPage: usize, newPage: usize, out: usize, limit: i32): i32 {
  let blocks = compareBlocks(oldPage, newPage);
  const limitEnd = out + limit;
  let at = out;
  let covered: usize = 0;
  // A run that reached the end of its block and may go on in the next one; 0 is "none".
  let openStart: usize = 0;
  let openEnd: usize = 0;
  while (blocks) {
    const block = <usize>ctz(blocks);
    const base = block << 6;
    blocks &= blocks - 1;
    let mask = fillGaps(MASKS + (block << 3));
    if (openEnd && !(openEnd == base && mask & 1)) {
      at = writeRun(newPage, at, limitEnd, covered, openStart, openEnd);
      if (at == 0) return OVERFLOW;
      covered = openEnd;
      openEnd = 0;
    }
    while (mask) {
      // Adding the lowest bit carries through the lowest run: it clears the run and marks its end.
      const carried = mask + (mask & (0 - mask));
      let start = base + <usize>ctz(mask);
      const end = base + <usize>ctz(carried);
      mask &= carried;
      if (openEnd) start = openStart;
      if (carried == 0) {
        openStart = start;
        openEnd = end;
        break;
      }
      openEnd = 0;
      const equal = start - covered;
      const changed = end - start;
      if (equal < 0x80 && changed <= 16) {
        if (at + 2 + changed > limitEnd) return OVERFLOW;
        store<u16>(at, <u16>(equal | (changed << 8)));
        v128.store(at, v128.load(newPage + start), 2);
        at += 2 + changed;
      } else {
        at = writeRun(newPage, at, limitEnd, covered, start, end);
        if (at == 0) return OVERFLOW;
      }
      covered = end;
    }
  }
  if (openEnd) {
    at = writeRun(newPage, at, limitEnd, covered, openStart, openEnd);
    if (at == 0) return OVERFLOW;
  }
  return <i32>(at - out);
}

/** Checks a whole payload and, if `page` is not 0 and the payload is well formed, patches that page. */
export function decodePage(payload: usize, length: i32, page: usize): bool {
  if (!isWellFormed(payload, length)) return false;
  if (page == 0) return true;
  const end = payload + length;
  let at: usize = page;
  while (payload < end) {
    at += readCount(payload);
    payload += countBytes(payload);
    const changed = readCount(payload);
    payload += countBytes(payload);
    copyExactly(at, payload, changed);
    at += changed;
    payload += changed;
  }
  return true;
}

/** Stores the masks of bytes that differ; the result has a bit for each block that has any. */
function compareBlocks(oldPage: usize, newPage: usize): u64 {
  let blocks: u64 = 0;
  for (let block: usize = 0; block < 64; block++) {
    const a = oldPage + (block << 6);
    const b = newPage + (block << 6);
    const x0 = v128.xor(v128.load(a), v128.load(b));
    const x1 = v128.xor(v128.load(a, 16), v128.load(b, 16));
    const x2 = v128.xor(v128.load(a, 32), v128.load(b, 32));
    const x3 = v128.xor(v128.load(a, 48), v128.load(b, 48));
    let mask: u64 = 0;
    if (v128.any_true(v128.or(v128.or(x0, x1), v128.or(x2, x3)))) {
      const zero = i8x16.splat(0);
      mask = ~(
        (<u64>(<u32>i8x16.bitmask(i8x16.eq(x0, zero)))) |
        ((<u64>(<u32>i8x16.bitmask(i8x16.eq(x1, zero)))) << 16) |
        ((<u64>(<u32>i8x16.bitmask(i8x16.eq(x2, zero)))) << 32) |
        ((<u64>(<u32>i8x16.bitmask(i8x16.eq(x3, zero)))) << 48)
      );
      blocks |= (<u64>1) << block;
    }
    store<u64>(MASKS + (block << 3), mask);
  }
  return blocks;
}

/** A block's mask with single equal bytes between two changed ones filled, across its borders too. */
function fillGaps(at: usize): u64 {
  const mask = load<u64>(at);
  const before = load<u64>(at - 8) >> 63;
  const behind = load<u64>(at, 8) << 63;
  return mask | (((mask << 1) | before) & ((mask >> 1) | behind));
}

/** Writes one pair of runs at `at`; the first byte behind it, or 0 if it does not fit. */
function writeRun(
  newPage: usize,
  at: usize,
  limitEnd: usize,
  covered: usize,
  start: usize,
  end: usize,
): usize {
  const equal = start - covered;
  const changed = end - start;
  const headerBytes: usize = (equal < 0x80 ? 1 : 2) + (changed < 0x80 ? 1 : 2);
  if (at + headerBytes + changed > limitEnd) return 0;
  at = writeCount(at, equal);
  at = writeCount(at, changed);
  // A store of fixed size scribbles on slack or on what the next run overwrites.
  if (changed <= 16) v128.store(at, v128.load(newPage + start));
  else memory.copy(at, newPage + start, changed);
  return at + changed;
}

function writeCount(at: usize, count: usize): usize {
  if (count < 0x80) {
    store<u8>(at, <u8>count);
    return at + 1;
  }
  store<u8>(at, <u8>(count | 0x80));
  store<u8>(at, <u8>(count >> 7), 1);
  return at + 2;
}

function isWellFormed(payload: usize, length: i32): bool {
  if (length <= 0 || length > PAGE_BYTES) return false;
  const end = payload + length;
  let position: usize = 0;
  let isFirst = true;
  while (payload < end) {
    if (!isCount(payload, end)) return false;
    const equal = readCount(payload);
    payload += countBytes(payload);
    if (equal == 0 && !isFirst) return false;
    if (!isCount(payload, end)) return false;
    const changed = readCount(payload);
    payload += countBytes(payload);
    position += equal + changed;
    if (changed == 0 || position > <usize>PAGE_BYTES || changed > end - payload) return false;
    payload += changed;
    isFirst = false;
  }
  return true;
}

/** A whole ULEB128 count of one byte, or of two in its shortest form. */
function isCount(at: usize, end: usize): bool {
  if (at >= end) return false;
  if (load<u8>(at) < 0x80) return true;
  return at + 1 < end && load<u8>(at, 1) < 0x80 && load<u8>(at, 1) != 0;
}

function readCount(at: usize): usize {
  const low = <usize>load<u8>(at);
  return low < 0x80 ? low : (low & 0x7f) | ((<usize>load<u8>(at, 1)) << 7);
}

function countBytes(at: usize): usize {
  return load<u8>(at) < 0x80 ? 1 : 2;
}

/** Copies without touching a byte behind `count`: what follows in the page is not part of the run. */
function copyExactly(to: usize, from: usize, count: usize): void {
  if (count > 32) {
    memory.copy(to, from, count);
  } else if (count >= 16) {
    const tail = v128.load(from + count - 16);
    v128.store(to, v128.load(from));
    v128.store(to + count - 16, tail);
  } else if (count >= 8) {
    const tail = load<u64>(from + count - 8);
    store<u64>(to, load<u64>(from));
    store<u64>(to + count - 8, tail);
  } else {
    for (let i: usize = 0; i < count; i++) store<u8>(to + i, load<u8>(from + i));
  }
}
