// A digest table of what an image holds now, made by reading it: what the destination has after the bulk stage.
import { DestinationKernel, EXTENT_PAGES, SECRET_BYTES, zeroDigest } from '@pageferry/xbzrle';
import { DigestTable } from '../src/digest-table.ts';
import type { ImageHandle } from '../src/image-file.ts';
import { readPages } from '../src/page-io.ts';
import { range } from './image-folder.ts';

export const SECRET = new Uint8Array(SECRET_BYTES).map((_, index) => index * 37 + 11);

/** The image's pages, digested one by one; or only some, and the others are unknown. */
export function digestTableOf(
  image: ImageHandle,
  pageCount: number,
  pages: Iterable<number> = range(0, pageCount),
): DigestTable {
  const table = new DigestTable({ pageCount, zeroDigest: zeroDigest(SECRET) });
  const kernel = new DestinationKernel({ secret: SECRET });
  for (const page of pages) {
    readPages(image, page, 1, kernel.staging);
    kernel.digestStaging(page, 1);
    table.store(page, 1, kernel.digests);
    table.storeRoot(Math.floor(page / EXTENT_PAGES), kernel.root);
  }
  return table;
}
