/**
 * The payload of a `pages` frame: an 8-byte header and records, each a run of pages of one block in the stream's own page
 * index (so that a run crosses chunks).
 *
 * Layout, little-endian and unaligned: header block u16, stream u16, reserved u32; record first page u32, count u32,
 * kind u8, then by kind nothing (zero), count × 4096 bytes (normal), or length u16 and payload (xbzrle, count 1).
 * Invariant: PageRecordTable.decode has checked every record of the frame before the caller applies the first one, so a
 * malformed frame changes nothing. It fills preallocated columns: a frame may hold 123,790 records, and an object for
 * each would be an allocation per page. The kernel writes the records of the real stream;
 * page-records-encoder.ts is the plain version.
 */
import { ProtocolError } from './errors.ts';
import { checkBelow, checkExpected, checkNotZero, checkReserved, leadingView } from './layout.ts';
import {
  PAGE_FRAME_RECORDS_MAX_BYTES,
  PAGE_SIZE_BYTES,
  RECORDS_PER_FRAME_MAX,
  RECORD_HEADER_BYTES,
  XBZRLE_PAYLOAD_MAX_BYTES,
} from './limits.ts';

/** Bytes of the header in front of the records; the records' room in a sender's buffer starts this far in. */
export const PAGES_HEADER_BYTES = 8;

/** Wire codes of the record kinds; 0 is never valid. */
export const RECORD_KIND = { zero: 1, normal: 2, xbzrle: 3 } as const;

export type RecordKind = (typeof RECORD_KIND)[keyof typeof RECORD_KIND];

export interface PagesHeader {
  /** Index into hello's blocks. */
  readonly block: number;
  readonly stream: number;
}

/** Writes the 8 bytes at `offset` of `target`. */
export function writePagesHeader(target: Uint8Array, offset: number, { block, stream }: PagesHeader): void {
  const view = new DataView(target.buffer, target.byteOffset + offset, PAGES_HEADER_BYTES);
  view.setUint16(0, block, true);
  view.setUint16(2, stream, true);
  view.setUint32(4, 0, true);
}

/**
 * Reads the header at the start of a payload and gives the block's index.
 * Throws ProtocolError: truncated, reserved-not-zero, unexpected-value (another stream), out-of-range (block).
 */
export function decodePagesHeader(
  payload: Uint8Array,
  { stream, blockCount }: { readonly stream: number; readonly blockCount: number },
): PagesHeader {
  const view = leadingView(payload, PAGES_HEADER_BYTES, 'pages header');
  checkReserved(view.getUint32(4, true), 'pages header');
  checkExpected(view.getUint16(2, true), stream, 'stream of the pages frame');
  const block = view.getUint16(0, true);
  checkBelow(block, blockCount, 'block of the pages frame');
  return { block, stream };
}

/** The records of one frame in columns; made once per stream and filled again for every frame. */
export class PageRecordTable {
  #length = 0;
  readonly #kinds = new Uint8Array(RECORDS_PER_FRAME_MAX);
  readonly #firstPages = new Uint32Array(RECORDS_PER_FRAME_MAX);
  readonly #counts = new Uint32Array(RECORDS_PER_FRAME_MAX);
  readonly #payloadOffsets = new Uint32Array(RECORDS_PER_FRAME_MAX);
  readonly #payloadLengths = new Uint32Array(RECORDS_PER_FRAME_MAX);

  /** Records of the last frame that decode accepted; 0 after one that it refused. */
  get length(): number {
    return this.#length;
  }

  /**
   * Checks and takes down all records in bytes[recordsOffset .. bytes.length). `localPageLimit` is the number of pages
   * that this stream has of the block; a frame's runs add up to no more than that, which bounds the work of a frame.
   * Throws ProtocolError: truncated, unknown-record-kind, zero-count, out-of-range (page, number of pages, payload length),
   * unexpected-value (an xbzrle count that is not 1). Then the table is empty.
   */
  decode(bytes: Uint8Array, recordsOffset: number, localPageLimit: number): void {
    this.#length = 0;
    const recordsBytes = bytes.length - recordsOffset;
    checkBelow(recordsBytes, PAGE_FRAME_RECORDS_MAX_BYTES + 1, 'bytes of records');
    if (recordsBytes <= 0) {
      throw new ProtocolError({
        code: 'truncated',
        what: 'pages frame',
        neededBytes: RECORD_HEADER_BYTES,
        availableBytes: 0,
      });
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let offset = recordsOffset;
    let pageCount = 0;
    let index = 0;
    while (offset < bytes.length) {
      offset = this.#decodeRecord(view, offset, index, localPageLimit);
      pageCount += this.count(index);
      checkBelow(pageCount, localPageLimit + 1, 'number of pages in a frame');
      index += 1;
    }
    this.#length = index;
  }

  /** RECORD_KIND of a record; `index` is below length, here and in the other columns. */
  kind(index: number): number {
    return this.#kinds[index] ?? 0;
  }

  /** First page, in the stream's own index. */
  firstPage(index: number): number {
    return this.#firstPages[index] ?? 0;
  }

  /** Pages of the run, at least 1. */
  count(index: number): number {
    return this.#counts[index] ?? 0;
  }

  /** Where the pages or the delta begin, in the bytes that were given to decode. */
  payloadOffset(index: number): number {
    return this.#payloadOffsets[index] ?? 0;
  }

  /** 0 for zero, count × 4096 for normal, 1 to 4096 for xbzrle. */
  payloadLength(index: number): number {
    return this.#payloadLengths[index] ?? 0;
  }

  /** Takes down the record at `offset` as number `index` and gives the offset behind it. */
  #decodeRecord(view: DataView, offset: number, index: number, localPageLimit: number): number {
    checkAvailable(view, offset, RECORD_HEADER_BYTES);
    const firstPage = view.getUint32(offset, true);
    const count = view.getUint32(offset + 4, true);
    const kind = view.getUint8(offset + 8);
    if (!isRecordKind(kind)) {
      throw new ProtocolError({ code: 'unknown-record-kind', kind, recordIndex: index });
    }
    checkNotZero(count, 'count of a record');
    checkBelow(firstPage, localPageLimit, 'first page of a record');
    checkBelow(firstPage + count - 1, localPageLimit, 'last page of a record');
    const payloadOffset = payloadStart(view, offset, kind, count);
    const payloadLength = payloadSize(view, offset, kind, count);
    checkAvailable(view, payloadOffset, payloadLength);
    this.#kinds[index] = kind;
    this.#firstPages[index] = firstPage;
    this.#counts[index] = count;
    this.#payloadOffsets[index] = payloadOffset;
    this.#payloadLengths[index] = payloadLength;
    return payloadOffset + payloadLength;
  }
}

/** Where the payload of the record at `offset` begins, once its length field (if it has one) is known to be there. */
function payloadStart(view: DataView, offset: number, kind: RecordKind, count: number): number {
  if (kind !== RECORD_KIND.xbzrle) {
    return offset + RECORD_HEADER_BYTES;
  }
  checkExpected(count, 1, 'count of an xbzrle record');
  checkAvailable(view, offset + RECORD_HEADER_BYTES, 2);
  return offset + RECORD_HEADER_BYTES + 2;
}

function payloadSize(view: DataView, offset: number, kind: RecordKind, count: number): number {
  switch (kind) {
    case RECORD_KIND.zero:
      return 0;
    case RECORD_KIND.normal:
      return count * PAGE_SIZE_BYTES;
    case RECORD_KIND.xbzrle: {
      const lengthBytes = view.getUint16(offset + RECORD_HEADER_BYTES, true);
      checkNotZero(lengthBytes, 'xbzrle length');
      checkBelow(lengthBytes, XBZRLE_PAYLOAD_MAX_BYTES + 1, 'xbzrle length');
      return lengthBytes;
    }
  }
}

function checkAvailable(view: DataView, offset: number, neededBytes: number): void {
  if (view.byteLength - offset < neededBytes) {
    throw new ProtocolError({
      code: 'truncated',
      what: 'page record',
      neededBytes,
      availableBytes: view.byteLength - offset,
    });
  }
}

function isRecordKind(code: number): code is RecordKind {
  return code === RECORD_KIND.zero || code === RECORD_KIND.normal || code === RECORD_KIND.xbzrle;
}
