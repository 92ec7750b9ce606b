/**
 * `destination-reread`: digests a stream's shard of a file again, as it is now, and names the extents whose
 * content is not what this stream applied. What it finds happened below or beside us: another writer, the file
 * system, the memory itself.
 */
import type { DigestTable, ImageReader, Shard } from '@pageferry/memory';
import { BATCH_PAGES, DIGEST_BYTES, PAGE_SIZE, ZERO_ROOT, type DestinationKernel } from '@pageferry/xbzrle';

/** The extents of a shard whose fresh root differs from the table's. Throws MemoryError: truncated, io. */
export function differingExtents(
  shard: Shard,
  reader: ImageReader,
  table: DigestTable,
  kernel: DestinationKernel,
): number[] {
  const differing: number[] = [];
  const expected = new Uint8Array(DIGEST_BYTES);
  reader.startRound();
  for (const { chunk, firstPage, pageCount } of shard.chunks()) {
    kernel.root.set(ZERO_ROOT);
    for (const run of reader.dataRuns(firstPage, pageCount)) {
      if (run.kind === 'hole') digestZeros(kernel, run.firstPage, run.pageCount);
      else digestData(kernel, reader, run.firstPage, run.pageCount);
    }
    table.root(chunk, expected);
    if (Buffer.compare(expected, kernel.root) !== 0) differing.push(chunk);
  }
  return differing;
}

/** Adds zero pages to the kernel's root. Digests are "unknown" before, so nothing is subtracted. */
function digestZeros(kernel: DestinationKernel, firstPage: number, pageCount: number): void {
  kernel.digests.fill(0, 0, pageCount * DIGEST_BYTES);
  kernel.zeroPages(firstPage, pageCount);
}

function digestData(
  kernel: DestinationKernel,
  reader: ImageReader,
  firstPage: number,
  pageCount: number,
): void {
  for (let done = 0; done < pageCount; done += BATCH_PAGES) {
    const count = Math.min(BATCH_PAGES, pageCount - done);
    reader.read(firstPage + done, count, kernel.staging.subarray(0, count * PAGE_SIZE));
    kernel.digests.fill(0, 0, count * DIGEST_BYTES);
    kernel.digestStaging(firstPage + done, count);
  }
}
