// XXH3-128 of one page with a 192-byte secret, at memory speed. Written from the algorithm's specification.
// A page is four blocks of 16 stripes of 64 bytes; the last stripe takes its key one byte further on.
// Stripes go in pairs: one shuffle gathers the low words of both, one the high words, and the extended
// multiplies need no further shuffle. Sums of the data belong to the neighbour lane; addition commutes, so they
// are swapped once a block instead of once a stripe.
import { NEW_DIGEST, PAGE_BYTES, SECRET, SECRET_BYTES, ZERO_DIGEST } from './layout';

const P32_1: u64 = 0x9e3779b1;
const P32_2: u64 = 0x85ebca77;
const P32_3: u64 = 0xc2b2ae3d;
const P64_1: u64 = 0x9e3779b185ebca87;
const P64_2: u64 = 0xc2b2ae3d27d4eb4f;
const P64_3: u64 = 0x165667b19e3779f9;
const P64_4: u64 = 0x85ebca77c2b2ae63;
const P64_5: u64 = 0x27d4eb2f165667c5;
const AVALANCHE: u64 = 0x165667919e3779f9;

const ACCUMULATORS: usize = memory.data(64, 64);

/** Writes the digest (low half, then high half) to `out`. The value 0 means "unknown", so it becomes 1. */
export function digestPage(page: usize, out: usize): void {
  accumulatePage(page);
  const low = mergeAccumulators(SECRET + 11, <u64>PAGE_BYTES * P64_1);
  const high = mergeAccumulators(SECRET + SECRET_BYTES - 64 - 11, ~(<u64>PAGE_BYTES * P64_2));
  store<u64>(out, low | high ? low : 1);
  store<u64>(out, high, 8);
}

/** Prepares the digest of a zero page; to be called whenever the secret was set. `page` is overwritten. */
export function digestZeroPage(page: usize): void {
  memory.fill(page, 0, PAGE_BYTES);
  digestPage(page, ZERO_DIGEST);
}

export function isSameDigest(a: usize, b: usize): bool {
  return load<u64>(a) == load<u64>(b) && load<u64>(a, 8) == load<u64>(b, 8);
}

/** Digests the page to NEW_DIGEST, or copies the zero page's digest there. */
export function digestToNew(page: usize, isZero: bool): void {
  if (isZero) v128.store(NEW_DIGEST, v128.load(ZERO_DIGEST));
  else digestPage(page, NEW_DIGEST);
}

function accumulatePage(page: usize): void {
  let a0 = i64x2(P32_3, P64_1);
  let a1 = i64x2(P64_2, P64_3);
  let a2 = i64x2(P64_4, P32_2);
  let a3 = i64x2(P64_5, P32_1);
  for (let block = 0; block < 4; block++) {
    const isLast = <usize>(block == 3);
    let p0 = i64x2.splat(0);
    let p1 = i64x2.splat(0);
    let p2 = i64x2.splat(0);
    let p3 = i64x2.splat(0);
    let s0 = i64x2.splat(0);
    let s1 = i64x2.splat(0);
    let s2 = i64x2.splat(0);
    let s3 = i64x2.splat(0);
    for (let key: usize = SECRET; key < SECRET + 128; key += 16, page += 128) {
      const keyB = key + 8 + (isLast & (<usize>(key == SECRET + 112)));
      let a = v128.load(page);
      let b = v128.load(page, 64);
      s0 = i64x2.add(s0, i64x2.add(a, b));
      p0 = i64x2.add(p0, products(v128.xor(a, v128.load(key)), v128.xor(b, v128.load(keyB))));
      a = v128.load(page, 16);
      b = v128.load(page, 80);
      s1 = i64x2.add(s1, i64x2.add(a, b));
      p1 = i64x2.add(p1, products(v128.xor(a, v128.load(key, 16)), v128.xor(b, v128.load(keyB, 16))));
      a = v128.load(page, 32);
      b = v128.load(page, 96);
      s2 = i64x2.add(s2, i64x2.add(a, b));
      p2 = i64x2.add(p2, products(v128.xor(a, v128.load(key, 32)), v128.xor(b, v128.load(keyB, 32))));
      a = v128.load(page, 48);
      b = v128.load(page, 112);
      s3 = i64x2.add(s3, i64x2.add(a, b));
      p3 = i64x2.add(p3, products(v128.xor(a, v128.load(key, 48)), v128.xor(b, v128.load(keyB, 48))));
    }
    a0 = endBlock(a0, p0, s0);
    a1 = endBlock(a1, p1, s1);
    a2 = endBlock(a2, p2, s2);
    a3 = endBlock(a3, p3, s3);
    if (!isLast) {
      a0 = scramble(a0, SECRET + 128);
      a1 = scramble(a1, SECRET + 144);
      a2 = scramble(a2, SECRET + 160);
      a3 = scramble(a3, SECRET + 176);
    }
  }
  v128.store(ACCUMULATORS, a0);
  v128.store(ACCUMULATORS, a1, 16);
  v128.store(ACCUMULATORS, a2, 32);
  v128.store(ACCUMULATORS, a3, 48);
}

/** Low word times high word of each 64-bit lane, summed over both stripes. */
function products(a: v128, b: v128): v128 {
  const low = v128.shuffle<i32>(a, b, 0, 2, 4, 6);
  const high = v128.shuffle<i32>(a, b, 1, 3, 5, 7);
  return i64x2.add(i64x2.extmul_low_i32x4_u(low, high), i64x2.extmul_high_i32x4_u(low, high));
}

function endBlock(accumulator: v128, products: v128, sums: v128): v128 {
  return i64x2.add(i64x2.add(accumulator, products), v128.shuffle<i64>(sums, sums, 1, 0));
}

function scramble(accumulator: v128, key: usize): v128 {
  const mixed = v128.xor(v128.xor(accumulator, i64x2.shr_u(accumulator, 47)), v128.load(key));
  return i64x2.mul(mixed, i64x2.splat(P32_1));
}

function mergeAccumulators(key: usize, start: u64): u64 {
  let hash = start;
  for (let at: usize = 0; at < 64; at += 16) {
    hash += foldProduct(
      load<u64>(ACCUMULATORS + at) ^ load<u64>(key + at),
      load<u64>(ACCUMULATORS + at, 8) ^ load<u64>(key + at, 8),
    );
  }
  hash = (hash ^ (hash >> 37)) * AVALANCHE;
  return hash ^ (hash >> 32);
}

/** The 128-bit product's halves, combined by exclusive or. */
function foldProduct(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const cross = (aLow * bLow) >> 32;
  const middle = aHigh * bLow + cross;
  const middle2 = aLow * bHigh + (middle & 0xffffffff);
  return (a * b) ^ (aHigh * bHigh + (middle >> 32) + (middle2 >> 32));
}
