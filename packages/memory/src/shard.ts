// Which pages of a block belong to which stream: chunks of 2 MiB, dealt out in turn.
// Invariant: chunk c belongs to stream c % streamCount, and the stream numbers its own pages without a gap, so a
// run of local pages crosses chunks on the wire and a cache slot is used by every stream alike. Only the block's
// last chunk may be short, and it is the last of its shard: local indexes are dense in [0, localPageLimit).
// Indexes go up to 2^32, so this file divides and never shifts.

import assert from 'node:assert/strict';
import { EXTENT_PAGES } from '@pageferry/xbzrle';
import { MemoryError } from './errors.ts';

/** A chunk of a shard: its index in the block (also the digest table's extent), where it starts, its pages. */
export interface ShardChunk {
  readonly chunk: number;
  readonly firstPage: number;
  readonly firstLocalPage: number;
  readonly pageCount: number;
}

/** Contiguous pages of the block, inside one chunk. */
export interface ShardPiece {
  readonly firstPage: number;
  readonly pageCount: number;
}

/** One stream's share of one block. */
export class Shard {
  readonly pageCount: number;
  readonly stream: number;
  readonly streamCount: number;
  /** Number of this stream's pages, which is one more than its last local page index. */
  readonly localPageLimit: number;
  readonly #chunkCount: number;

  constructor({
    pageCount,
    stream,
    streamCount,
  }: {
    /** Pages of the whole block. */
    readonly pageCount: number;
    readonly stream: number;
    readonly streamCount: number;
  }) {
    assert(pageCount > 0 && streamCount > 0 && stream >= 0 && stream < streamCount);
    this.pageCount = pageCount;
    this.stream = stream;
    this.streamCount = streamCount;
    const blockChunkCount = Math.ceil(pageCount / EXTENT_PAGES);
    this.#chunkCount = Math.max(0, Math.ceil((blockChunkCount - stream) / streamCount));
    const ownsLastChunk = (blockChunkCount - 1) % streamCount === stream;
    const missingPages = ownsLastChunk ? blockChunkCount * EXTENT_PAGES - pageCount : 0;
    this.localPageLimit = this.#chunkCount * EXTENT_PAGES - missingPages;
  }

  /** This stream's chunks, in the order of the block. */
  *chunks(): Generator<ShardChunk, void, undefined> {
    for (let turn = 0; turn < this.#chunkCount; turn += 1) {
      yield this.chunkAt(turn * this.streamCount + this.stream);
    }
  }

  /** At most `count` of this stream's chunks, evenly spread. */
  *spreadChunks(count: number): Generator<ShardChunk, void, undefined> {
    const chosenCount = Math.min(count, this.#chunkCount);
    for (let index = 0; index < chosenCount; index += 1) {
      const turn = Math.floor((index * this.#chunkCount) / chosenCount);
      yield this.chunkAt(turn * this.streamCount + this.stream);
    }
  }

  /** One of this stream's chunks, by its index in the block; another stream's is a fault of the program. */
  chunkAt(chunk: number): ShardChunk {
    const firstPage = chunk * EXTENT_PAGES;
    assert(
      chunk % this.streamCount === this.stream && firstPage < this.pageCount,
      `chunk ${chunk} is not ours`,
    );
    const pageCount = Math.min(EXTENT_PAGES, this.pageCount - firstPage);
    const firstLocalPage = Math.floor(chunk / this.streamCount) * EXTENT_PAGES;
    return { chunk, firstPage, firstLocalPage, pageCount };
  }

  /** The block's page index of a local one. The caller has checked that it is below localPageLimit. */
  toBlockPage(localPage: number): number {
    const turn = Math.floor(localPage / EXTENT_PAGES);
    return (turn * this.streamCount + this.stream) * EXTENT_PAGES + (localPage % EXTENT_PAGES);
  }

  /**
   * The contiguous pieces of a run of local pages, each within one chunk, in order.
   * The run may come from the wire: it is checked at the call, before the first piece.
   * Throws MemoryError `outside-shard`.
   */
  pieces(firstLocalPage: number, pageCount: number): Iterable<ShardPiece> {
    const isInside =
      firstLocalPage >= 0 && pageCount >= 0 && firstLocalPage + pageCount <= this.localPageLimit;
    if (!isInside) {
      const { localPageLimit } = this;
      throw new MemoryError({ code: 'outside-shard', firstLocalPage, pageCount, localPageLimit });
    }
    return this.#split(firstLocalPage, firstLocalPage + pageCount);
  }

  *#split(firstLocalPage: number, endLocalPage: number): Generator<ShardPiece, void, undefined> {
    for (let localPage = firstLocalPage; localPage < endLocalPage;) {
      const inChunk = EXTENT_PAGES - (localPage % EXTENT_PAGES);
      const pageCount = Math.min(inChunk, endLocalPage - localPage);
      yield { firstPage: this.toBlockPage(localPage), pageCount };
      localPage += pageCount;
    }
  }
}
