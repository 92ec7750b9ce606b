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

/**
 * Which pages a round is about. `everything`: each page, whatever a tracker knows; the first round of an attempt, every
 * round that begins with the digest exchange, and the final scan. `written`: those that were written since the first
 * round of the attempt began, as far as the tracker can tell. `written-or-unmapped`: and those of which it cannot tell.
 * `nothing`: it is proven (image-lease.ts) that no page was written since then, and no tracker is asked.
 */
export type RoundScope = 'everything' | 'written' | 'written-or-unmapped' | 'nothing';

/** What a tracker has to know of a round. */
export interface TrackedRound {
  /** 0 is the bulk stage; the last round begins after the pause. */
  readonly round: number;
  readonly scope: RoundScope;
}

/** Names a stream's candidates. */
export interface DirtyTracker {
  /** As in the API: `scan`, `soft-dirty`. */
  readonly name: string;
  /**
   * Every page of the round's scope in the shard that may differ from what the digest table says, in the order of the
   * block (a tracker that finds out too late that it cannot tell begins again). The run is valid until the next one is
   * asked for.
   */
  candidates(round: TrackedRound): Iterable<PageRun>;
}
