/**
 * Applies a `pages` frame: runs of zero, normal and XBZRLE pages into the blocks' images.
 *
 * The stream is hostile: every record of the frame was checked before this begins (PageRecordTable), every delta
 * of a run is checked before one is applied, deltas patch a copy, and only whole pages are written. So a malformed
 * frame never leaves a half-patched page and never writes outside a block.
 */
import { RECORD_KIND, type PageRecordTable } from '@pageferry/protocol/wire';
import { BATCH_PAGES, EXTENT_PAGES, PAGE_SIZE, type DestinationKernel } from '@pageferry/xbzrle';
import type { BlockWriter } from './block-writer.ts';
import type { StreamCounters } from './counters.ts';

/** Bytes of an XBZRLE record besides its payload: run header and length. */
const XBZRLE_RECORD_BYTES = 11;

/** A delta that the decoder refuses; the migration fails with it. */
export class MalformedDelta extends Error {
  override readonly name = 'MalformedDelta';
}

export class FrameApplier {
  readonly #kernel: DestinationKernel;
  readonly #counters: StreamCounters;

  constructor(kernel: DestinationKernel, counters: StreamCounters) {
    this.#kernel = kernel;
    this.#counters = counters;
  }

  /** Applies all records, in order. Offsets in the table are those of the kernel's frame. */
  apply(block: BlockWriter, records: PageRecordTable): void {
    for (let index = 0; index < records.length; index += 1) {
      const count = records.count(index);
      switch (records.kind(index)) {
        case RECORD_KIND.zero:
          block.zero(records.firstPage(index), count);
          this.#counters.add('zero', count);
          break;
        case RECORD_KIND.normal:
          this.#writeNormal(block, records.firstPage(index), count, records.payloadOffset(index));
          this.#counters.add('normal', count);
          break;
        default:
          index = this.#applyDeltas(block, records, index) - 1;
          break;
      }
    }
  }

  #writeNormal(block: BlockWriter, firstLocalPage: number, pageCount: number, payloadOffset: number): void {
    let offset = payloadOffset;
    for (const piece of block.shard.pieces(firstLocalPage, pageCount)) {
      for (let done = 0; done < piece.pageCount; done += BATCH_PAGES) {
        const count = Math.min(BATCH_PAGES, piece.pageCount - done);
        const end = offset + count * PAGE_SIZE;
        block.writeFramePages(
          piece.firstPage + done,
          count,
          offset,
          this.#kernel.frame.subarray(offset, end),
        );
        offset = end;
      }
    }
  }

  /** Applies the deltas of neighbouring pages from `first` on as one read and one write; returns the next index. */
  #applyDeltas(block: BlockWriter, records: PageRecordTable, first: number): number {
    const firstLocalPage = records.firstPage(first);
    const mostPages = Math.min(BATCH_PAGES, EXTENT_PAGES - (firstLocalPage % EXTENT_PAGES));
    let end = first;
    while (
      end < records.length &&
      end - first < mostPages &&
      records.kind(end) === RECORD_KIND.xbzrle &&
      records.firstPage(end) === firstLocalPage + (end - first)
    ) {
      if (!this.#kernel.isValidDelta(records.payloadOffset(end), records.payloadLength(end))) {
        throw new MalformedDelta(`malformed delta of page ${records.firstPage(end)} of block ${block.index}`);
      }
      end += 1;
    }
    const count = end - first;
    const firstPage = block.shard.toBlockPage(firstLocalPage);
    const bytes = this.#kernel.staging.subarray(0, count * PAGE_SIZE);
    block.read(firstPage, count, bytes);
    for (let index = first; index < end; index += 1) {
      const length = records.payloadLength(index);
      this.#kernel.applyDelta(index - first, records.payloadOffset(index), length);
      this.#counters.add('xbzrleBytes', XBZRLE_RECORD_BYTES + length);
    }
    this.#counters.add('xbzrlePages', count);
    block.writeStaging(firstPage, count, bytes);
    return end;
  }
}
