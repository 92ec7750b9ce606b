// The digest of a page: XXH3-128 with a secret of 192 bytes, in plain TypeScript. It is the reference that the
// kernel is tested against and far too slow for pages in bulk. Written from the algorithm's specification.
// The value 0 is reserved for "unknown": a page whose digest comes out as 0 gets 1.
import assert from 'node:assert/strict';
import { DIGEST_BYTES, PAGE_SIZE, SECRET_BYTES } from './constants.ts';

const MASK_32 = 0xffffffffn;
const PRIME32_1 = 0x9e3779b1n;
const PRIME32_2 = 0x85ebca77n;
const PRIME32_3 = 0xc2b2ae3dn;
const PRIME64_1 = 0x9e3779b185ebca87n;
const PRIME64_2 = 0xc2b2ae3d27d4eb4fn;
const PRIME64_3 = 0x165667b19e3779f9n;
const PRIME64_4 = 0x85ebca77c2b2ae63n;
const PRIME64_5 = 0x27d4eb2f165667c5n;
const AVALANCHE = 0x165667919e3779f9n;

const LANES = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const STRIPE_BYTES = 64;
const STRIPES_PER_BLOCK = (SECRET_BYTES - STRIPE_BYTES) / 8;
const STRIPES = PAGE_SIZE / STRIPE_BYTES;
const PAGE_LENGTH = BigInt(PAGE_SIZE);

/**
 * The digest of one page.
 *
 * @param page PAGE_SIZE bytes
 * @param secret SECRET_BYTES bytes
 * @returns DIGEST_BYTES bytes: XXH3-128's low half, then its high half, little-endian
 */
export function digest(page: Uint8Array, secret: Uint8Array): Uint8Array {
  assert(page.length === PAGE_SIZE && secret.length === SECRET_BYTES);
  const input = viewOf(page);
  const keys = viewOf(secret);
  const lanes = accumulate(input, keys);
  const low = merge(lanes, keys, 11, u64(PAGE_LENGTH * PRIME64_1));
  const high = merge(lanes, keys, SECRET_BYTES - STRIPE_BYTES - 11, u64(~(PAGE_LENGTH * PRIME64_2)));
  const result = new Uint8Array(DIGEST_BYTES);
  const out = viewOf(result);
  out.setBigUint64(0, low === 0n && high === 0n ? 1n : low, true);
  out.setBigUint64(8, high, true);
  return result;
}

/** The digest of a page of zeros under this secret. */
export function zeroDigest(secret: Uint8Array): Uint8Array {
  return digest(new Uint8Array(PAGE_SIZE), secret);
}

function accumulate(input: DataView, keys: DataView): BigUint64Array {
  const lanes = BigUint64Array.of(
    PRIME32_3,
    PRIME64_1,
    PRIME64_2,
    PRIME64_3,
    PRIME64_4,
    PRIME32_2,
    PRIME64_5,
    PRIME32_1,
  );
  for (let stripe = 0; stripe < STRIPES; stripe++) {
    const step = stripe % STRIPES_PER_BLOCK;
    const isLast = stripe === STRIPES - 1;
    addStripe(lanes, input, stripe * STRIPE_BYTES, keys, isLast ? SECRET_BYTES - STRIPE_BYTES - 7 : step * 8);
    if (step === STRIPES_PER_BLOCK - 1 && !isLast) scramble(lanes, keys);
  }
  return lanes;
}

function addStripe(lanes: BigUint64Array, input: DataView, at: number, keys: DataView, keyAt: number): void {
  for (const lane of LANES) {
    const value = input.getBigUint64(at + lane * 8, true);
    const keyed = value ^ keys.getBigUint64(keyAt + lane * 8, true);
    add(lanes, lane ^ 1, value);
    add(lanes, lane, (keyed & MASK_32) * (keyed >> 32n));
  }
}

function scramble(lanes: BigUint64Array, keys: DataView): void {
  for (const lane of LANES) {
    const value = lanes[lane] ?? 0n;
    const key = keys.getBigUint64(SECRET_BYTES - STRIPE_BYTES + lane * 8, true);
    lanes[lane] = u64((value ^ (value >> 47n) ^ key) * PRIME32_1);
  }
}

function merge(lanes: BigUint64Array, keys: DataView, keyAt: number, start: bigint): bigint {
  let hash = start;
  for (const lane of [0, 2, 4, 6]) {
    const first = (lanes[lane] ?? 0n) ^ keys.getBigUint64(keyAt + lane * 8, true);
    const second = (lanes[lane + 1] ?? 0n) ^ keys.getBigUint64(keyAt + lane * 8 + 8, true);
    const product = first * second;
    hash = u64(hash + (u64(product) ^ (product >> 64n)));
  }
  hash = u64((hash ^ (hash >> 37n)) * AVALANCHE);
  return hash ^ (hash >> 32n);
}

function add(lanes: BigUint64Array, lane: number, value: bigint): void {
  lanes[lane] = (lanes[lane] ?? 0n) + value;
}

function u64(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
