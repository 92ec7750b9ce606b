// Roots: one 128-bit number for any set of pages, independent of the order in which the pages came.
// A root is the sum mod 2^128 of `mix(page index, digest)`; a page changes it by one subtraction and one
// addition. The kernel does the same sums; this is the definition.
import assert from 'node:assert/strict';
import { DIGEST_BYTES } from './constants.ts';

const INDEX_MULTIPLIER = 0x9e3779b97f4a7c15n;
const FINAL_1 = 0xff51afd7ed558ccdn;
const FINAL_2 = 0xc4ceb9fe1a85ec53n;

/** The root of no pages, and of pages whose digests are all unknown. */
export const ZERO_ROOT: Uint8Array = new Uint8Array(DIGEST_BYTES);

/**
 * What one page contributes to a root: 16 bytes, a u128 little-endian.
 *
 * With `low` and `high` the digest's halves and all arithmetic mod 2^64:
 *
 *     f(x):  x = (x xor x>>33) * 0xff51afd7ed558ccd;  x = (x xor x>>33) * 0xc4ceb9fe1a85ec53;  x xor x>>33
 *     a = f(low xor (pageIndex + 1) * 0x9e3779b97f4a7c15)
 *     mixHigh = f(high + a)
 *     mixLow  = f(a + mixHigh)
 *
 * f is MurmurHash3's 64-bit finalizer. For a given page the mix is a bijection of the digest, so a wrong
 * digest alone always changes the root. An unknown digest (0) contributes 0.
 *
 * Vector: pageIndex 1, digest 00 01 02 … 0f gives
 * d903460ad73682265611c354f5c83f0b.
 *
 * @param pageIndex index of the page in its RAM block, below 2^32
 * @param digest DIGEST_BYTES bytes
 */
export function mix(pageIndex: number, digest: Uint8Array): Uint8Array {
  assert(Number.isInteger(pageIndex) && pageIndex >= 0 && pageIndex < 2 ** 32);
  const value = read(digest);
  if (value === 0n) return new Uint8Array(DIGEST_BYTES);
  const first = finalize(u64(value) ^ u64(BigInt(pageIndex + 1) * INDEX_MULTIPLIER));
  const high = finalize(u64((value >> 64n) + first));
  const low = finalize(u64(first + high));
  return write((high << 64n) | low);
}

/** The root of two disjoint sets of pages together. */
export function addRoots(a: Uint8Array, b: Uint8Array): Uint8Array {
  return write(read(a) + read(b));
}

/** The root of `a` without the pages of `b`. */
export function subtractRoots(a: Uint8Array, b: Uint8Array): Uint8Array {
  return write(read(a) - read(b));
}

function finalize(value: bigint): bigint {
  let x = value;
  x = u64((x ^ (x >> 33n)) * FINAL_1);
  x = u64((x ^ (x >> 33n)) * FINAL_2);
  return x ^ (x >> 33n);
}

function read(bytes: Uint8Array): bigint {
  assert(bytes.length === DIGEST_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, DIGEST_BYTES);
  return (view.getBigUint64(8, true) << 64n) | view.getBigUint64(0, true);
}

function write(value: bigint): Uint8Array {
  const bytes = new Uint8Array(DIGEST_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, u64(value), true);
  view.setBigUint64(8, u64(value >> 64n), true);
  return bytes;
}

function u64(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}
