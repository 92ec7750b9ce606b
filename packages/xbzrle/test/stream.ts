// A source's stream as the tests drive it: a digest table, an extent root, and batches of given pages.
import { DIGEST_BYTES, PAGE_SIZE } from '../src/constants.ts';
import { SourceKernel, type Batch, type SourceKernelOptions } from '../src/source-kernel.ts';
import { readRecords, type PageRecord } from './records.ts';
import { randomSecret } from './vectors.ts';

export const SECRET = randomSecret(77);
export const HEADROOM_BYTES = 21;

export class TestStream {
  kernel: SourceKernel;
  /** Digests by stream page. */
  readonly table = new Map<number, Uint8Array>();
  root: Uint8Array = new Uint8Array(DIGEST_BYTES);
  /** Distance from a stream page to its index in the block. */
  readonly blockOffset: number;

  constructor(options: Partial<SourceKernelOptions> = {}, blockOffset = 0) {
    this.kernel = new SourceKernel({
      secret: SECRET,
      cacheBytes: 16 * PAGE_SIZE,
      eviction: 'age',
      slotCount: 2,
      headroomBytes: HEADROOM_BYTES,
      ...options,
    });
    this.blockOffset = blockOffset;
  }

  /** Appends contiguous pages to the slot's frame; the result is how many were recorded. */
  append(first: number, pages: readonly Uint8Array[], batch: Partial<Batch> = {}, slot = 0): number {
    const input = this.kernel.input(slot);
    pages.forEach((page, i) => input.set(page, i * PAGE_SIZE));
    return this.#withTable(first, pages.length, batch, (full) => this.kernel.encodeBatch(slot, full));
  }

  appendZeros(first: number, pageCount: number, batch: Partial<Batch> = {}, slot = 0): number {
    return this.#withTable(first, pageCount, batch, (full) => this.kernel.encodeZeroBatch(slot, full));
  }

  /** The frame's records; the slot's next frame begins. */
  take(slot = 0): PageRecord[] {
    const records = readRecords(this.kernel.frame(slot).subarray(HEADROOM_BYTES));
    this.kernel.begin(slot);
    return records;
  }

  /** Appends one batch and takes its records. */
  send(first: number, pages: readonly Uint8Array[], batch: Partial<Batch> = {}): PageRecord[] {
    this.append(first, pages, batch);
    return this.take();
  }

  #withTable(
    first: number,
    pageCount: number,
    batch: Partial<Batch>,
    encode: (batch: Batch) => number,
  ): number {
    const { kernel, table } = this;
    for (let i = 0; i < pageCount; i++)
      kernel.digests.set(table.get(first + i) ?? new Uint8Array(DIGEST_BYTES), i * DIGEST_BYTES);
    kernel.root.set(this.root);
    const changed = encode({
      firstRecordPage: first,
      firstBlockPage: first + this.blockOffset,
      pageCount,
      generation: 1,
      useXbzrle: true,
      fillCache: true,
      ...batch,
    });
    for (let i = 0; i < pageCount; i++)
      table.set(first + i, kernel.digests.slice(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES));
    this.root = kernel.root.slice();
    return changed;
  }
}
