/**
 * Measures a scan without making one. Before anything was sent, so that POST /migrate can warn of a final scan that is
 * longer than the allowed pause: reads and digests at most PROBE_BYTES; the first batch does not count, it waits for code
 * to be compiled and for the file's first data to be found. Between rounds that read bits instead, so that
 * the pause is predicted with the final scan that will really happen: compares a few chunks, spread over the shard,
 * where they are mapped. Nothing is sent and nothing is remembered.
 */
import { performance } from 'node:perf_hooks';
import type {
  DigestTable,
  DirtyTracker,
  ImageMapping,
  ImageReader,
  ScanTracker,
  Shard,
} from '@pageferry/memory';
import { PAGE_SIZE, SourceKernel } from '@pageferry/xbzrle';

const PROBE_BYTES = 16 * 1024 * 1024;
/** Of each block: 16 MiB, a millisecond or two. */
const SAMPLED_CHUNKS = 8;

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
    for (const run of tracker.candidates({ round: 0, scope: 'everything' })) {
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

/** What comparing so many data pages took. All holes: 0 pages. */
export interface ScanSample {
  readonly pages: number;
  readonly ms: number;
}

export function sampleScan(
  blocks: readonly {
    readonly shard: Shard;
    readonly scan: ScanTracker;
    readonly mapping: ImageMapping;
    readonly table: DigestTable;
  }[],
): ScanSample {
  const startMs = performance.now();
  let pages = 0;
  for (const { shard, scan, mapping, table } of blocks) {
    scan.startRound();
    for (const chunk of shard.spreadChunks(SAMPLED_CHUNKS)) {
      for (const run of scan.chunkRuns(chunk)) {
        if (run.kind !== 'data') continue;
        mapping.compare(run.firstPage, run.pageCount, table);
        pages += run.pageCount;
      }
    }
  }
  return { pages, ms: performance.now() - startMs };
}
