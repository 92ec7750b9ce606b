// XBZRLE in plain TypeScript: the specification in code, and the oracle that the kernel is tested against.
// A payload is a sequence of pairs: ULEB128 count of unchanged bytes, ULEB128 count of changed bytes, then the
// changed bytes as they are now. A trailing unchanged run is left out. (QEMU docs/xbzrle.txt.)
// Decoding checks the whole payload first, so a malformed one changes nothing of the page.
import assert from 'node:assert/strict';
import { OVERFLOW, UNCHANGED } from './constants.ts';
import { XbzrleError, type PayloadFault } from './errors.ts';

/** Largest count that two bytes of ULEB128 hold; also the largest page that `encode` takes. */
const COUNT_MAX = 0x3fff;

/**
 * Encodes what changed between two versions of a page into `out`.
 *
 * Single equal bytes between changed ones are sent as changed: that saves a byte each time, so the result is
 * never longer than QEMU's encoding, and it may fit where QEMU's does not.
 *
 * @returns the payload's length in bytes, `UNCHANGED` for equal pages, or `OVERFLOW` if more than `out.length`
 *   bytes were needed; what `out` holds is then undefined.
 */
export function encode(oldPage: Uint8Array, newPage: Uint8Array, out: Uint8Array): number {
  assert(oldPage.length === newPage.length && newPage.length <= COUNT_MAX);
  let covered = 0;
  let written = 0;
  for (;;) {
    const start = nextChanged(oldPage, newPage, covered);
    if (start === newPage.length) return written === 0 ? UNCHANGED : written;
    const end = runEnd(oldPage, newPage, start);
    const length = countBytes(start - covered) + countBytes(end - start) + end - start;
    if (written + length > out.length) return OVERFLOW;
    written = writeCount(out, written, start - covered);
    written = writeCount(out, written, end - start);
    out.set(newPage.subarray(start, end), written);
    written += end - start;
    covered = end;
  }
}

/**
 * Patches `page` by an XBZRLE payload.
 *
 * Stricter than QEMU, whose encoder never makes what is refused here: empty payloads and counts in more bytes
 * than they need.
 *
 * @throws XbzrleError `malformed-payload`; then no byte of the page has changed.
 */
export function decode(payload: Uint8Array, page: Uint8Array): void {
  if (payload.length === 0) throw malformed('empty', 0);
  if (payload.length > page.length) throw malformed('longer-than-page', page.length);
  walk(payload, page.length, () => {});
  walk(payload, page.length, (at, run) => page.set(run, at));
}

/** Calls `visit` for each changed run of a payload, checking as it goes. */
function walk(payload: Uint8Array, pageLength: number, visit: (at: number, run: Uint8Array) => void): void {
  let at = 0;
  let offset = 0;
  while (offset < payload.length) {
    const unchanged = readCount(payload, offset);
    if (unchanged === 0 && offset > 0) throw malformed('unchanged-run-empty', offset);
    offset += countBytes(unchanged);
    const changed = readCount(payload, offset);
    if (changed === 0) throw malformed('changed-run-empty', offset);
    at += unchanged + changed;
    if (at > pageLength) throw malformed('past-page-end', offset);
    offset += countBytes(changed);
    if (changed > payload.length - offset) throw malformed('truncated', payload.length);
    visit(at - changed, payload.subarray(offset, offset + changed));
    offset += changed;
  }
}

function nextChanged(oldPage: Uint8Array, newPage: Uint8Array, from: number): number {
  let at = from;
  while (at < newPage.length && oldPage[at] === newPage[at]) at++;
  return at;
}

/** The first of two equal bytes behind `start`, or of one that ends the page. */
function runEnd(oldPage: Uint8Array, newPage: Uint8Array, start: number): number {
  let end = start;
  for (;;) {
    while (end < newPage.length && oldPage[end] !== newPage[end]) end++;
    if (end + 1 >= newPage.length || oldPage[end + 1] === newPage[end + 1]) return end;
    end++;
  }
}

function countBytes(count: number): 1 | 2 {
  return count < 0x80 ? 1 : 2;
}

function writeCount(out: Uint8Array, at: number, count: number): number {
  if (count < 0x80) {
    out[at] = count;
    return at + 1;
  }
  out[at] = (count & 0x7f) | 0x80;
  out[at + 1] = count >> 7;
  return at + 2;
}

function readCount(payload: Uint8Array, offset: number): number {
  const first = payload[offset];
  if (first === undefined) throw malformed('truncated', offset);
  if (first < 0x80) return first;
  const second = payload[offset + 1];
  if (second === undefined) throw malformed('truncated', offset + 1);
  if (second >= 0x80) throw malformed('count-too-long', offset + 1);
  if (second === 0) throw malformed('count-not-minimal', offset + 1);
  return (first & 0x7f) | (second << 7);
}

function malformed(reason: PayloadFault, offset: number): XbzrleError {
  return new XbzrleError({ code: 'malformed-payload', reason, offset });
}
