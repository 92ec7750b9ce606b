// The root of an extent: the sum mod 2^128 of a mix of page index and digest, so that it can be kept up to
// date page by page in any order. src/root.ts defines the mix and is the reference.
import { ROOT } from './layout';

const INDEX_MULTIPLIER: u64 = 0x9e3779b97f4a7c15;
const FINAL_1: u64 = 0xff51afd7ed558ccd;
const FINAL_2: u64 = 0xc4ceb9fe1a85ec53;

/** Puts `next` in the place of the table's digest at `entry` (an unknown one contributes nothing). */
export function replaceDigest(entry: usize, next: usize, blockPage: u32): void {
  const oldLow = load<u64>(entry);
  const oldHigh = load<u64>(entry, 8);
  let low = load<u64>(ROOT);
  let high = load<u64>(ROOT, 8);
  const index = (<u64>blockPage + 1) * INDEX_MULTIPLIER;
  if (oldLow | oldHigh) {
    const first = finalize(oldLow ^ index);
    const mixedHigh = finalize(oldHigh + first);
    const mixedLow = finalize(first + mixedHigh);
    high = high - mixedHigh - <u64>(low < mixedLow);
    low -= mixedLow;
  }
  const nextLow = load<u64>(next);
  const nextHigh = load<u64>(next, 8);
  const first = finalize(nextLow ^ index);
  const mixedHigh = finalize(nextHigh + first);
  const mixedLow = finalize(first + mixedHigh);
  low += mixedLow;
  high = high + mixedHigh + <u64>(low < mixedLow);
  store<u64>(ROOT, low);
  store<u64>(ROOT, high, 8);
  store<u64>(entry, nextLow);
  store<u64>(entry, nextHigh, 8);
}

function finalize(x: u64): u64 {
  x = (x ^ (x >> 33)) * FINAL_1;
  x = (x ^ (x >> 33)) * FINAL_2;
  return x ^ (x >> 33);
}
