// What a dirty tracker is: it names the pages that may have changed, and never misses one that did.
// The decision is not its own: the kernel compares digests of a private snapshot, so naming too much costs time and
// naming too little would lose a write.

/**
 * Contiguous pages of one chunk. `data` pages (at most BATCH_PAGES, 256) must be read; `hole` pages (at most
 * EXTENT_PAGES, 512) are known to be zero and must not be read; `unchanged` pages were compared with the table, and
 * are named only to be counted.
 */
export interface PageRun {
  readonly kind: 'data' | 'hole' | 'unchanged';
  /** Index in the block. */
  readonly firstPage: number;
  /** Index in the stream's shard, as in page records. */
  readonly firstLocalPage: number;
  readonly pageCount: number;
}

/** Names a stream's candidates. */
export interface DirtyTracker {
  /** As in the API: `scan`. */
  readonly name: string;
  /**
   * Every page of the shard that may differ from what the digest table says, in the order of the block. The run is
   * valid until the next one is asked for. Round 0 is the bulk stage; the last round begins after the pause.
   */
  candidates(round: number): Iterable<PageRun>;
}
