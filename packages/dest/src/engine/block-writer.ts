/**
 * One block at the destination, as one stream writes it: pages into the image, and their digests into the table.
 *
 * Invariant: the table holds the digest of what this stream wrote, page by page, and each extent's root with it.
 * A page is unknown until it was written, never assumed zero. Runs that come here lie within one extent.
 */
import type { DigestTable, ImageWriter, Shard } from '@pageferry/memory';
import { EXTENT_PAGES, type DestinationKernel } from '@pageferry/xbzrle';

export class BlockWriter {
  readonly index: number;
  readonly shard: Shard;
  readonly #writer: ImageWriter;
  readonly #table: DigestTable;
  readonly #kernel: DestinationKernel;
  readonly #wrote: (extent: number) => void;

  constructor(options: {
    readonly index: number;
    readonly shard: Shard;
    readonly writer: ImageWriter;
    readonly table: DigestTable;
    readonly kernel: DestinationKernel;
    /** Pages of this extent were written. */
    readonly wrote: (extent: number) => void;
  }) {
    this.index = options.index;
    this.shard = options.shard;
    this.#writer = options.writer;
    this.#table = options.table;
    this.#kernel = options.kernel;
    this.#wrote = options.wrote;
  }

  /** The sum of this shard's extents' roots, 16 bytes. */
  get root(): Uint8Array {
    return this.#table.blockRoot();
  }

  /** Makes a run of local pages zero. */
  zero(firstLocalPage: number, pageCount: number): void {
    for (const { firstPage, pageCount: count } of this.shard.pieces(firstLocalPage, pageCount)) {
      this.#writer.zero(firstPage, count);
      const extent = Math.floor(firstPage / EXTENT_PAGES);
      if (this.#table.isZeroExtent(extent)) {
        this.#wrote(extent);
        continue;
      }
      this.#digest(firstPage, count, () => this.#kernel.zeroPages(firstPage, count));
      if (count === EXTENT_PAGES) this.#table.storeZeroExtent(extent);
    }
  }

  /** Writes pages of the frame, from `frameOffset` on; their digests are of the bytes that are written. */
  writeFramePages(firstPage: number, pageCount: number, frameOffset: number, bytes: Uint8Array): void {
    this.#writer.write(firstPage, bytes);
    this.#digest(firstPage, pageCount, () =>
      this.#kernel.digestFramePages(frameOffset, firstPage, pageCount),
    );
  }

  /** Writes the first pages of the staging area. */
  writeStaging(firstPage: number, pageCount: number, bytes: Uint8Array): void {
    this.#writer.write(firstPage, bytes);
    this.#digest(firstPage, pageCount, () => this.#kernel.digestStaging(firstPage, pageCount));
  }

  /** Reads pages into the staging area: the base of deltas. */
  read(firstPage: number, pageCount: number, target: Uint8Array): void {
    this.#writer.read(firstPage, pageCount, target);
  }

  #digest(firstPage: number, pageCount: number, digest: () => void): void {
    const extent = Math.floor(firstPage / EXTENT_PAGES);
    this.#table.load(firstPage, pageCount, this.#kernel.digests);
    this.#table.root(extent, this.#kernel.root);
    digest();
    this.#table.store(firstPage, pageCount, this.#kernel.digests);
    this.#table.storeRoot(extent, this.#kernel.root);
    this.#wrote(extent);
  }
}
