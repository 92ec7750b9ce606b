// Compares pages with the digest table where the image itself is mapped, ahead of the private snapshot: a filter.
// Invariant: a page that is not resident is never touched (a mapped read of a hole would allocate it) and counts
// as changed. Whatever is said here is only of the moment: what is sent is digested again from its snapshot.
import { DIGESTS, NEW_DIGEST, PAGE_BYTES, PAGE_SHIFT, RESIDENT } from './layout';
import { digestToNew, isSameDigest } from './xxh3';
import { isZeroPage } from './zero';

/** Unchanged pages between two changed ones that a run takes along: reading them costs less than another call. */
const GAP_PAGES: i32 = 8;

/** How many of the first pages in RESIDENT may not be touched. */
export function countAbsent(pageCount: i32): i32 {
  let presentCount = 0;
  for (let i = 0; i < pageCount; i++) presentCount += load<u8>(RESIDENT + i) & 1;
  return pageCount - presentCount;
}

/** The first page in [from, to) that differs from its digest; `to` if none does. `pages` is where page 0 lies. */
export function firstChanged(pages: usize, from: i32, to: i32): i32 {
  for (let i = from; i < to; i++) if (isChanged(pages, i)) return i;
  return to;
}

/** Where the run ends that begins with the changed page `from`: its last page is a changed one. */
export function changedEnd(pages: usize, from: i32, to: i32): i32 {
  let end = from + 1;
  for (let i = end; i < to && i <= end + GAP_PAGES; i++) if (isChanged(pages, i)) end = i + 1;
  return end;
}

function isChanged(pages: usize, index: i32): bool {
  if (!(load<u8>(RESIDENT + index) & 1)) return true;
  const page = pages + ((<usize>index) << PAGE_SHIFT);
  digestToNew(page, isZeroPage(page));
  return !isSameDigest(DIGESTS + ((<usize>index) << 4), NEW_DIGEST);
}
