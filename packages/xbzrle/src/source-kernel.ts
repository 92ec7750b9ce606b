// The source's page kernel: one per stream, each with its own memory, which holds the stream's page cache and
// a ring of slots. A slot is an input buffer for a batch of pages and the frame of records made from them.
// Callers read guest memory into `input(slot)`: that copy is the private snapshot, and digest, delta and raw
// bytes are all of it. A frame is a view on kernel memory; it stays valid until `begin` of the same slot.
import assert from 'node:assert/strict';
import {
  BATCH_PAGES,
  DIGEST_BYTES,
  EXTENT_PAGES,
  PAGE_RECORD_MAX_BYTES,
  PAGE_SIZE,
  RECORD_HEADER_BYTES,
  SECRET_BYTES,
} from './constants.ts';
import { cacheAllocatedBytes, checkCacheBytes } from './page-cache-size.ts';
import { copySurvivors } from './cache-transfer.ts';
import { instantiateKernel, type Kernel } from './wasm.ts';

/** When a page may take a cache slot that holds another one. */
export type EvictionRule =
  /** Not before the other has gone two generations unused (QEMU since 2.3). */
  | 'age'
  /** Always (QEMU before 2.3). */
  | 'newest';

export type SourceKernelOptions = {
  /** SECRET_BYTES bytes. */
  readonly secret: Uint8Array;
  /** A power of two of at least a page, or 0 for no cache: `useXbzrle` then has no effect. */
  readonly cacheBytes: number;
  readonly eviction: EvictionRule;
  readonly slotCount: number;
  /** Bytes that the caller writes its own frame header to, before the records. */
  readonly headroomBytes: number;
};

export type Batch = {
  /** The first page's index in the stream: in records, and the cache's address. */
  readonly firstRecordPage: number;
  /** Its index in the RAM block: in the root. */
  readonly firstBlockPage: number;
  readonly pageCount: number;
  /** The dirty-sync count, which ages cache entries. */
  readonly generation: number;
  /** Off in the bulk stage: pages are then neither looked up nor learned. */
  readonly useXbzrle: boolean;
  /** Off in the last round: nothing is encoded against these pages any more. */
  readonly fillCache: boolean;
};

/** Pages unless it says bytes; they only grow. */
export type PageCounters = {
  readonly normal: number;
  readonly zero: number;
  readonly unchanged: number;
  readonly xbzrlePages: number;
  /** Whole records: header, length and payload. */
  readonly xbzrleBytes: number;
  readonly cacheMiss: number;
  readonly overflow: number;
  /** Pages that the age rule kept out of the cache. */
  readonly insertRefused: number;
};

type Slot = { readonly input: Uint8Array };

export class SourceKernel {
  /** EXTENT_PAGES digests. In: the table's, of the batch's pages. Out: the table's new ones. */
  readonly digests: Uint8Array;
  /** The root of the extent that the batch is in, in and out. */
  readonly root: Uint8Array;
  /** What the cache takes in memory when it is full, in bytes. */
  readonly cacheAllocatedBytes: number;

  readonly #options: SourceKernelOptions;
  readonly #kernel: Kernel;
  readonly #counters: Float64Array;
  readonly #slots: readonly Slot[];

  /** @throws XbzrleError `cache-size`, `kernel-missing`, `kernel-mismatch` */
  constructor(options: SourceKernelOptions) {
    const { secret, cacheBytes, eviction, slotCount, headroomBytes } = options;
    checkCacheBytes(cacheBytes);
    assert(secret.length === SECRET_BYTES);
    assert(Number.isInteger(slotCount) && slotCount >= 1 && slotCount <= 64);
    assert(Number.isInteger(headroomBytes) && headroomBytes >= 0 && headroomBytes <= PAGE_SIZE);
    const cacheSlots = cacheBytes / PAGE_SIZE;
    this.#options = { ...options, secret: Uint8Array.from(secret) };
    this.#kernel = instantiateKernel((sizes) =>
      sizes.sourceMemoryBytes(slotCount, headroomBytes, cacheSlots),
    );
    const { exports } = this.#kernel;
    exports.placeSource(headroomBytes, cacheSlots, eviction === 'newest');
    this.#slots = Array.from({ length: slotCount }, (_, slot) => ({
      input: this.#view(exports.slotInput(slot), BATCH_PAGES * PAGE_SIZE),
    }));
    this.#view(exports.secretArea(), SECRET_BYTES).set(secret);
    exports.useSecret(exports.slotInput(0));
    this.digests = this.#view(exports.digestsArea(), EXTENT_PAGES * DIGEST_BYTES);
    this.root = this.#view(exports.rootArea(), DIGEST_BYTES);
    this.#counters = new Float64Array(this.#kernel.memory, exports.countersArea(), 8);
    this.cacheAllocatedBytes = cacheAllocatedBytes(cacheBytes);
  }

  /** The slot's input buffer: BATCH_PAGES pages. Once the frame was made from it, it may be the frame. */
  input(slot: number): Uint8Array {
    return this.#slot(slot).input;
  }

  /** Empties the slot's frame. Every slot begins empty. */
  begin(slot: number): void {
    this.#slot(slot);
    this.#kernel.exports.begin(slot);
  }

  /**
   * Turns the batch in the slot's input buffer into page records, appended to its frame, and replaces digests
   * and root. Contiguous pages, at most BATCH_PAGES; `hasRoom(slot, pageCount)` must hold.
   *
   * @returns how many pages differ from their digest, that is, were recorded
   */
  encodeBatch(slot: number, batch: Batch): number {
    assert(batch.pageCount <= BATCH_PAGES);
    return this.#encode('encodeBatch', slot, batch, batch.pageCount * PAGE_RECORD_MAX_BYTES);
  }

  /** The same for pages that are known to be zero, at most EXTENT_PAGES; the input buffer is not used. */
  encodeZeroBatch(slot: number, batch: Batch): number {
    assert(batch.pageCount <= EXTENT_PAGES);
    return this.#encode('encodeZeroBatch', slot, batch, batch.pageCount * RECORD_HEADER_BYTES);
  }

  /**
   * Whether the frame takes another batch of so many pages, whatever they are; with the default, also any batch
   * of zero pages. False once the input buffer is the frame.
   */
  hasRoom(slot: number, pageCount: number = BATCH_PAGES): boolean {
    return this.#fits(slot, pageCount * PAGE_RECORD_MAX_BYTES);
  }

  /** Bytes of the frame's records, without the headroom. */
  recordBytes(slot: number): number {
    this.#slot(slot);
    return this.#kernel.exports.recordBytes(slot);
  }

  /** Headroom and records, contiguous. */
  frame(slot: number): Uint8Array {
    this.#slot(slot);
    const { headroomBytes } = this.#options;
    const records = this.#kernel.exports.slotRecords(slot) >>> 0;
    return this.#view(records - headroomBytes, headroomBytes + this.recordBytes(slot));
  }

  counters(): PageCounters {
    const [normal = 0, zero = 0, unchanged = 0, xbzrlePages = 0, xbzrleBytes = 0] = this.#counters;
    const [cacheMiss = 0, overflow = 0, insertRefused = 0] = this.#counters.subarray(5);
    return { normal, zero, unchanged, xbzrlePages, xbzrleBytes, cacheMiss, overflow, insertRefused };
  }

  /** The root that an extent of zero pages has, which begins at this page of its block. Overwrites `digests` and `root`. */
  zeroExtentRoot(firstBlockPage: number): Uint8Array {
    assert(firstBlockPage >= 0 && firstBlockPage + EXTENT_PAGES <= 2 ** 32);
    this.digests.fill(0);
    this.root.fill(0);
    this.#kernel.exports.zeroPages(firstBlockPage, EXTENT_PAGES);
    return this.root;
  }

  /** Forgets every cached page. */
  dropCache(): void {
    this.#kernel.exports.dropCache();
  }

  /**
   * A kernel with a cache of another size: counters and what fits of the cache are taken over; of two pages that
   * meet in one slot the younger stays. Frames, `digests` and `root` are not: resize when no frame is in use.
   * Both kernels' memory is allocated until this one is dropped.
   *
   * @throws XbzrleError `cache-size`
   */
  resized(cacheBytes: number): SourceKernel {
    const next = new SourceKernel({ ...this.#options, cacheBytes });
    next.#counters.set(this.#counters);
    copySurvivors(this.#cache(), next.#cache());
    return next;
  }

  #encode(
    call: 'encodeBatch' | 'encodeZeroBatch',
    slot: number,
    { firstRecordPage, firstBlockPage, pageCount, generation, useXbzrle, fillCache }: Batch,
    neededBytes: number,
  ): number {
    assert(Number.isInteger(pageCount) && pageCount >= 1);
    assert(firstRecordPage >= 0 && firstRecordPage + pageCount <= 2 ** 32);
    assert(firstBlockPage >= 0 && firstBlockPage + pageCount <= 2 ** 32);
    assert(this.#fits(slot, neededBytes), 'the frame is full');
    const { exports } = this.#kernel;
    return exports[call](slot, firstRecordPage, firstBlockPage, pageCount, generation, useXbzrle, fillCache);
  }

  #fits(slot: number, bytes: number): boolean {
    this.#slot(slot);
    return this.#kernel.exports.hasRoom(slot, bytes) !== 0;
  }

  #slot(slot: number): Slot {
    const found = this.#slots[slot];
    assert(found, 'no such slot');
    return found;
  }

  #cache(): { entries: Uint32Array; copies: Uint8Array } {
    const { exports, memory } = this.#kernel;
    const { cacheBytes } = this.#options;
    return {
      entries: new Uint32Array(memory, exports.cacheEntries() >>> 0, (cacheBytes / PAGE_SIZE) * 6),
      copies: this.#view(exports.cacheCopies(), cacheBytes),
    };
  }

  #view(address: number, length: number): Uint8Array {
    return new Uint8Array(this.#kernel.memory, address >>> 0, length);
  }
}
