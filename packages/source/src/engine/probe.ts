/**
 * Measures a scan before anything was sent, so that POST /migrate can warn of a final scan that is longer than
 * the allowed pause. Reads and digests at most PROBE_BYTES; nothing is sent and nothing is remembered. The first batch
 * does not count: it waits for code to be compiled and for the file's first data to be found.
 */
import { performance } from 'node:perf_hooks';
import type { DirtyTracker, ImageReader } from '@pageferry/memory';
import { PAGE_SIZE, SourceKernel } from '@pageferry/xbzrle';

const PROBE_BYTES = 16 * 1024 * 1024;

/** What a scan of `bytes` took, in milliseconds. Not two batches of data in the shard: 0 bytes. */
export interface ScanProbe {
  readonly bytes: number;
  readonly ms: number;
}

export function probeScan(
  blocks: readonly { readonly reader: ImageReader; readonly tracker: DirtyTracker }[],
  secret: Uint8Array,
): ScanProbe {
  const kernel = new SourceKernel({ secret, cacheBytes: 0, eviction: 'age', slotCount: 1, headroomBytes: 0 });
  let startMs = performance.now();
  let bytes = 0;
  let isFirst = true;
  for (const { reader, tracker } of blocks) {
    for (const run of tracker.candidates(0)) {
      if (bytes >= PROBE_BYTES) break;
      if (run.kind === 'hole') continue;
      kernel.begin(0);
      kernel.digests.fill(0);
      reader.read(run.firstPage, run.pageCount, kernel.input(0));
      kernel.encodeBatch(0, {
        firstRecordPage: run.firstLocalPage,
        firstBlockPage: run.firstPage,
        pageCount: run.pageCount,
        generation: 0,
        useXbzrle: false,
        fillCache: false,
      });
      if (isFirst) startMs = performance.now();
      else bytes += run.pageCount * PAGE_SIZE;
      isFirst = false;
    }
  }
  return { bytes, ms: performance.now() - startMs };
}
