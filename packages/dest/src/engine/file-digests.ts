/**
 * Digests of what is in a stream's shard of a file now, as opposed to what this stream wrote there.
 *
 * `load` is for a file that holds an older copy, or what an earlier attempt left. `check` is for the audit: what it
 * finds happened below or beside us (another writer, the file system, the memory itself), and the table then says
 * what is really there, so that the next comparison of roots finds it and the source mends it.
 */
import type { DigestTable, ImageReader, Shard, ShardChunk } from '@pageferry/memory';
import {
  BATCH_PAGES,
  DIGEST_BYTES,
  EXTENT_PAGES,
  PAGE_SIZE,
  ZERO_ROOT,
  type DestinationKernel,
} from '@pageferry/xbzrle';

type Digested = (firstPage: number, pageCount: number) => void;

export class FileDigests {
  readonly #shard: Shard;
  readonly #reader: ImageReader;
  readonly #table: DigestTable;
  readonly #kernel: DestinationKernel;

  constructor(options: {
    readonly shard: Shard;
    readonly reader: ImageReader;
    readonly table: DigestTable;
    readonly kernel: DestinationKernel;
  }) {
    this.#shard = options.shard;
    this.#reader = options.reader;
    this.#table = options.table;
    this.#kernel = options.kernel;
  }

  /** Digests the whole shard into the table. Throws MemoryError: truncated, io. */
  load(): void {
    this.#reader.startRound();
    for (const chunk of this.#shard.chunks()) this.#store(chunk);
  }

  /** Throws MemoryError truncated if the file was cut short. */
  checkSize(): void {
    this.#reader.checkSize();
  }

  /** Whether an extent reads back as the table says; if not, the table then says what is there. */
  check(extent: number): boolean {
    const chunk = this.#shard.chunkAt(extent);
    this.#reader.startRound();
    const expected = new Uint8Array(DIGEST_BYTES);
    this.#table.root(chunk.chunk, expected);
    this.#digest(chunk, () => undefined);
    if (Buffer.compare(expected, this.#kernel.root) === 0) return true;
    this.#store(chunk);
    return false;
  }

  #store(chunk: ShardChunk): void {
    this.#digest(chunk, (firstPage, pageCount) => {
      if (pageCount === EXTENT_PAGES) this.#table.storeZeroExtent(chunk.chunk);
      else this.#table.store(firstPage, pageCount, this.#kernel.digests);
    });
    this.#table.storeRoot(chunk.chunk, this.#kernel.root);
  }

  /** Leaves the extent's root in the kernel. A run of a whole extent is always a hole: data comes in batches. */
  #digest({ firstPage, pageCount }: ShardChunk, digested: Digested): void {
    this.#kernel.root.set(ZERO_ROOT);
    for (const run of this.#reader.dataRuns(firstPage, pageCount)) {
      if (run.kind === 'hole') this.#digestHole(run.firstPage, run.pageCount, digested);
      else this.#digestData(run.firstPage, run.pageCount, digested);
    }
  }

  /** Digests are "unknown" before, so nothing is subtracted from the root. */
  #digestHole(firstPage: number, pageCount: number, digested: Digested): void {
    this.#kernel.digests.fill(0, 0, pageCount * DIGEST_BYTES);
    this.#kernel.zeroPages(firstPage, pageCount);
    digested(firstPage, pageCount);
  }

  #digestData(firstPage: number, pageCount: number, digested: Digested): void {
    const { digests, staging } = this.#kernel;
    for (let done = 0; done < pageCount; done += BATCH_PAGES) {
      const count = Math.min(BATCH_PAGES, pageCount - done);
      this.#reader.read(firstPage + done, count, staging.subarray(0, count * PAGE_SIZE));
      digests.fill(0, 0, count * DIGEST_BYTES);
      this.#kernel.digestStaging(firstPage + done, count);
      digested(firstPage + done, count);
    }
  }
}
