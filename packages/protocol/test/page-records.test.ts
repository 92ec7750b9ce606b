import * as fc from 'fast-check';
import t from 'tap';
import { PAGE_FRAME_RECORDS_MAX_BYTES, PAGE_SIZE_BYTES, RECORDS_PER_FRAME_MAX } from '../src/limits.ts';
import { encodePageRecords, type PageRecord } from '../src/page-records-encoder.ts';
import { decodePagesHeader, PageRecordTable, RECORD_KIND, writePagesHeader } from '../src/page-records.ts';
import { faultOf, patched } from './faults.ts';
import { decodeRecords } from './golden.ts';
import { hexBytes } from './specification.ts';

const table = new PageRecordTable();
const limit = 1000;

void t.test('the header', (t) => {
  const valid = new Uint8Array(8);
  writePagesHeader(valid, 0, { block: 1, stream: 3 });
  const cases: [string, Uint8Array, string][] = [
    ['as sent', valid, 'none'],
    ['a byte short', valid.subarray(0, 7), 'truncated'],
    ['block 2 of 2', patched(valid, { 0: 2 }), 'out-of-range'],
    ['another stream', patched(valid, { 2: 2 }), 'unexpected-value'],
    ['reserved', patched(valid, { 7: 1 }), 'reserved-not-zero'],
  ];
  t.plan(cases.length + 1);
  for (const [name, bytes, fault] of cases) {
    t.equal(
      faultOf(() => decodePagesHeader(bytes, { stream: 3, blockCount: 2 })),
      fault,
      name,
    );
  }
  t.same(decodePagesHeader(valid, { stream: 3, blockCount: 2 }), { block: 1, stream: 3 });
});

void t.test('hostile records', (t) => {
  const page = 'aa'.repeat(PAGE_SIZE_BYTES);
  const cases: [string, string, string][] = [
    ['nothing', '', 'truncated'],
    ['eight bytes', '00000000 01000000', 'truncated'],
    ['kind 0', '00000000 01000000 00', 'unknown-record-kind'],
    ['kind 4', '00000000 01000000 04', 'unknown-record-kind'],
    ['no page', '00000000 00000000 01', 'zero-count'],
    ['first page beyond', 'e8030000 01000000 01', 'out-of-range'],
    ['last page beyond', 'e7030000 02000000 01', 'out-of-range'],
    ['all numbers', '00000000 ffffffff 01', 'out-of-range'],
    ['an end that wraps', 'ffffffff 02000000 01', 'out-of-range'],
    ['an end that wraps to 0', '01000000 ffffffff 01', 'out-of-range'],
    ['the last page', 'e7030000 01000000 01', 'none'],
    ['every page', '00000000 e8030000 01', 'none'],
    ['every page and one', '00000000 e8030000 01 00000000 01000000 01', 'out-of-range'],
    ['a normal page', `00000000 01000000 02 ${page}`, 'none'],
    ['a normal page, a byte short', `00000000 01000000 02 ${page.slice(2)}`, 'truncated'],
    ['two normal pages, one there', `00000000 02000000 02 ${page}`, 'truncated'],
    ['a normal page, a byte long', `00000000 01000000 02 ${page} 00`, 'truncated'],
    ['a delta of two pages', '00000000 02000000 03 0300 000101', 'unexpected-value'],
    ['a delta without length', '00000000 01000000 03 03', 'truncated'],
    ['an empty delta', '00000000 01000000 03 0000', 'zero-count'],
    ['a delta of 4097 bytes', `00000000 01000000 03 0110 ${page} 00`, 'out-of-range'],
    ['a delta of 4096 bytes', `00000000 01000000 03 0010 ${page}`, 'none'],
    ['a delta, a byte short', '00000000 01000000 03 0300 0001', 'truncated'],
  ];
  t.plan(cases.length * 2);
  for (const [name, hex, fault] of cases) {
    t.equal(
      faultOf(() => table.decode(hexBytes(hex), 0, limit)),
      fault,
      name,
    );
    t.equal(table.length === 0, fault !== 'none', `${name}: the table is empty if it was refused`);
  }
});

void t.test('a bad last record leaves no record', (t) => {
  t.plan(2);
  const bytes = hexBytes('00000000 01000000 01 05000000 01000000 09');
  t.equal(
    faultOf(() => table.decode(bytes, 0, limit)),
    'unknown-record-kind',
  );
  t.equal(table.length, 0);
});

void t.test('pages of the highest index', (t) => {
  t.plan(2);
  const wrapping = hexBytes('02000000 ffffffff 01');
  t.equal(
    faultOf(() => table.decode(wrapping, 0, 2 ** 32 - 1)),
    'out-of-range',
  );
  const records = decodeRecords(hexBytes('00000000 ffffffff 01 ffffffff 01000000 01'), 0, 2 ** 32);
  t.same(
    records.map(({ firstPage, count }) => [firstPage, count]),
    [
      [0, 2 ** 32 - 1],
      [2 ** 32 - 1, 1],
    ],
  );
});

void t.test('as many records as fit, and a byte more than fits', (t) => {
  t.plan(3);
  const record = hexBytes('00000000 01000000 01');
  const bytes = new Uint8Array(RECORDS_PER_FRAME_MAX * record.length);
  for (let offset = 0; offset < bytes.length; offset += record.length) {
    bytes.set(record, offset);
  }
  table.decode(bytes, 0, RECORDS_PER_FRAME_MAX);
  t.equal(table.length, RECORDS_PER_FRAME_MAX);
  t.equal(table.kind(RECORDS_PER_FRAME_MAX - 1), RECORD_KIND.zero);
  const tooLong = new Uint8Array(PAGE_FRAME_RECORDS_MAX_BYTES + 1);
  t.equal(
    faultOf(() => table.decode(tooLong, 0, limit)),
    'out-of-range',
  );
});

const anyRecord: fc.Arbitrary<PageRecord> = fc.oneof(
  fc.record({
    kind: fc.constant(RECORD_KIND.zero),
    firstPage: fc.integer({ min: 0, max: 499 }),
    count: fc.integer({ min: 1, max: 50 }),
  }),
  fc
    .record({
      firstPage: fc.integer({ min: 0, max: 499 }),
      count: fc.integer({ min: 1, max: 2 }),
      fill: fc.nat(255),
    })
    .map(({ firstPage, count, fill }) => ({
      kind: RECORD_KIND.normal,
      firstPage,
      count,
      pages: new Uint8Array(count * PAGE_SIZE_BYTES).fill(fill),
    })),
  fc.record({
    kind: fc.constant(RECORD_KIND.xbzrle),
    firstPage: fc.integer({ min: 0, max: 499 }),
    payload: fc.uint8Array({ minLength: 1, maxLength: 4096 }),
  }),
);
const manyRecords = fc.array(anyRecord, { minLength: 1, maxLength: 8 });

void t.test('what is encoded is decoded, behind any offset', (t) => {
  t.plan(1);
  fc.assert(
    fc.property(manyRecords, fc.nat(40), (records, offset) => {
      const encoded = encodePageRecords(records);
      const bytes = new Uint8Array(offset + encoded.length).fill(0xff);
      bytes.set(encoded, offset);
      const decoded = decodeRecords(bytes, offset, limit);
      return Buffer.from(encodePageRecords(decoded.map(asRecord))).equals(encoded);
    }),
    { interruptAfterTimeLimit: 1000, markInterruptAsFailure: false },
  );
  t.pass('round trips');
});

void t.test('no truncation is accepted but those between records', (t) => {
  t.plan(1);
  const parts = [
    encodePageRecords([{ kind: RECORD_KIND.zero, firstPage: 3, count: 4 }]),
    encodePageRecords([{ kind: RECORD_KIND.xbzrle, firstPage: 9, payload: Uint8Array.of(0, 1, 5) }]),
    encodePageRecords([{ kind: RECORD_KIND.normal, firstPage: 1, count: 1, pages: new Uint8Array(4096) }]),
  ];
  const bytes = Buffer.concat(parts);
  const accepted: number[] = [];
  for (let length = 0; length <= bytes.length; length += 1) {
    if (faultOf(() => table.decode(bytes.subarray(0, length), 0, limit)) === 'none') {
      accepted.push(length);
    }
  }
  t.same(accepted, [9, 23, 4128]);
});

void t.test('random bytes are refused or lie within the bounds', (t) => {
  t.plan(1);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(255), (bytes, kind) => {
      const hostile = patched(bytes, { 1: 0, 2: 0, 3: 0, 5: 0, 6: 0, 7: 0, 8: kind % 5 });
      if (faultOf(() => table.decode(hostile, 0, 200)) !== 'none') {
        return table.length === 0;
      }
      return Array.from({ length: table.length }, (_, index) => index).every(
        (index) =>
          table.firstPage(index) + table.count(index) <= 200 &&
          table.payloadOffset(index) + table.payloadLength(index) <= hostile.length,
      );
    }),
    { interruptAfterTimeLimit: 1000, markInterruptAsFailure: false },
  );
  t.pass('within bounds');
});

void t.test('encoding asserts', (t) => {
  t.plan(3);
  const pages = new Uint8Array(4095);
  t.throws(
    () => encodePageRecords([{ kind: RECORD_KIND.normal, firstPage: 0, count: 1, pages }]),
    RangeError,
  );
  for (const length of [0, 4097]) {
    const payload = new Uint8Array(length);
    t.throws(() => encodePageRecords([{ kind: RECORD_KIND.xbzrle, firstPage: 0, payload }]), RangeError);
  }
});

function asRecord(record: ReturnType<typeof decodeRecords>[number]): PageRecord {
  const { firstPage, count, payload } = record;
  switch (record.kind) {
    case RECORD_KIND.zero:
      return { kind: RECORD_KIND.zero, firstPage, count };
    case RECORD_KIND.normal:
      return { kind: RECORD_KIND.normal, firstPage, count, pages: payload };
    default:
      return { kind: RECORD_KIND.xbzrle, firstPage, payload };
  }
}
