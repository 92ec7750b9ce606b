// The destination's half: digests of pages received, zeroed or patched, kept in the caller's table entries and
// extent root. Payloads come from the peer: a delta is checked whole before a byte of its page changes.
import { DIGESTS, NEW_DIGEST, PAGE_BYTES, ZERO_DIGEST } from './layout';
import { replaceDigest } from './root';
import { decodePage } from './xbzrle';
import { digestPage } from './xxh3';

/** Digests `pageCount` pages at `page` into the table entries and the root. */
export function digestPages(page: usize, firstBlockPage: u32, pageCount: i32): void {
  let entry: usize = DIGESTS;
  for (let i = 0; i < pageCount; i++, page += PAGE_BYTES, entry += 16) {
    digestPage(page, NEW_DIGEST);
    replaceDigest(entry, NEW_DIGEST, firstBlockPage + i);
  }
}

export function zeroPages(firstBlockPage: u32, pageCount: i32): void {
  for (let i = 0; i < pageCount; i++) replaceDigest(DIGESTS + <usize>i * 16, ZERO_DIGEST, firstBlockPage + i);
}

export function isValidDelta(payload: usize, length: i32): bool {
  return decodePage(payload, length, 0);
}

export function applyDelta(page: usize, payload: usize, length: i32): bool {
  return decodePage(payload, length, page);
}
