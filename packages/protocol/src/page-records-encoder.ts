/**
 * The plain encoder of page records, from objects. The kernel writes the records of the real stream; this one is for
 * tests, tools and anyone who wants to read how a record is made.
 *
 * Invariant: what it gives, PageRecordTable.decode takes, as long as the pages are within the block.
 */
import { PAGE_SIZE_BYTES, RECORD_HEADER_BYTES, XBZRLE_PAYLOAD_MAX_BYTES } from './limits.ts';
import { RECORD_KIND, type RecordKind } from './page-records.ts';

/** One record for encodePageRecords. */
export type PageRecord =
  | { readonly kind: typeof RECORD_KIND.zero; readonly firstPage: number; readonly count: number }
  | {
      readonly kind: typeof RECORD_KIND.normal;
      readonly firstPage: number;
      readonly count: number;
      readonly pages: Uint8Array;
    }
  | { readonly kind: typeof RECORD_KIND.xbzrle; readonly firstPage: number; readonly payload: Uint8Array };

/** The records as bytes, without the pages header. Plain version, for tests and tools; asserts what decode checks. */
export function encodePageRecords(records: readonly PageRecord[]): Uint8Array {
  const parts = records.map(encodePageRecord);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

function encodePageRecord(record: PageRecord): Uint8Array {
  switch (record.kind) {
    case RECORD_KIND.zero:
      return withRecordHeader(record.firstPage, record.count, record.kind, 0);
    case RECORD_KIND.normal: {
      if (record.pages.length !== record.count * PAGE_SIZE_BYTES) {
        throw new RangeError(`${record.count} pages are not ${record.pages.length} bytes`);
      }
      const bytes = withRecordHeader(record.firstPage, record.count, record.kind, record.pages.length);
      bytes.set(record.pages, RECORD_HEADER_BYTES);
      return bytes;
    }
    case RECORD_KIND.xbzrle: {
      const lengthBytes = record.payload.length;
      if (lengthBytes === 0 || lengthBytes > XBZRLE_PAYLOAD_MAX_BYTES) {
        throw new RangeError(`an xbzrle payload cannot have ${lengthBytes} bytes`);
      }
      const bytes = withRecordHeader(record.firstPage, 1, record.kind, 2 + lengthBytes);
      new DataView(bytes.buffer).setUint16(RECORD_HEADER_BYTES, lengthBytes, true);
      bytes.set(record.payload, RECORD_HEADER_BYTES + 2);
      return bytes;
    }
  }
}

function withRecordHeader(firstPage: number, count: number, kind: RecordKind, bodyBytes: number): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + bodyBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, firstPage, true);
  view.setUint32(4, count, true);
  view.setUint8(8, kind);
  return bytes;
}
