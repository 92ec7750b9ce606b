// The tracker that needs nothing from the guest: it names every page, each round.
// Invariant: a page is left out only if it is in a hole now and the table holds its whole extent as zero, so what
// was sent for it is what it still is. Data in such an extent is named like any other.

import { BATCH_PAGES } from '@pageferry/xbzrle';
import type { DigestTable } from './digest-table.ts';
import type { ImageReader } from './image-reader.ts';
import type { Shard, ShardChunk } from './shard.ts';
import type { DirtyTracker, PageRun, TrackedRound } from './tracker.ts';

/** Names every page of a shard but the holes that are already known to be zero. */
export class ScanTracker implements DirtyTracker {
  readonly name = 'scan';
  readonly #reader: ImageReader;
  readonly #shard: Shard;
  readonly #table: DigestTable;

  constructor({
    reader,
    shard,
    table,
  }: {
    readonly reader: ImageReader;
    readonly shard: Shard;
    readonly table: DigestTable;
  }) {
    this.#reader = reader;
    this.#shard = shard;
    this.#table = table;
  }

  /** Looks holes up anew. Throws MemoryError: truncated, io. */
  *candidates(_round: TrackedRound): Generator<PageRun, void, undefined> {
    this.startRound();
    for (const chunk of this.#shard.chunks()) yield* this.chunkRuns(chunk);
  }

  /** Forgets what is known about holes. */
  startRound(): void {
    this.#reader.startRound();
  }

  /** One chunk's part of a round. Throws MemoryError: truncated, io. */
  *chunkRuns({
    chunk,
    firstPage,
    firstLocalPage,
    pageCount,
  }: ShardChunk): Generator<PageRun, void, undefined> {
    for (const run of this.#reader.dataRuns(firstPage, pageCount)) {
      if (run.kind === 'hole' && this.#table.isZeroExtent(chunk)) continue;
      const localPage = firstLocalPage + (run.firstPage - firstPage);
      if (run.kind === 'hole') yield { ...run, firstLocalPage: localPage };
      else yield* dataBatches(run.firstPage, localPage, run.pageCount);
    }
  }
}

/** A run of data in pieces that can be read at once. */
export function* dataBatches(
  firstPage: number,
  firstLocalPage: number,
  pageCount: number,
): Generator<PageRun, void, undefined> {
  for (let done = 0; done < pageCount; done += BATCH_PAGES) {
    yield {
      kind: 'data',
      firstPage: firstPage + done,
      firstLocalPage: firstLocalPage + done,
      pageCount: Math.min(BATCH_PAGES, pageCount - done),
    };
  }
}
