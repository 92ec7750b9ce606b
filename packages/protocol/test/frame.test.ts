import t from 'tap';
import {
  checkEpoch,
  CONTROL_LIMITS,
  CONTROL_LIMITS_BEFORE_HELLO,
  DATA_LIMITS_AT_DESTINATION,
  DATA_LIMITS_AT_SOURCE,
  DATA_LIMITS_BEFORE_ACCEPT,
  decodeFrameHeader,
  encodeFrame,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  writeFrameHeader,
  type FrameLimits,
} from '../src/frame.ts';
import { faultOf, patched } from './faults.ts';

const header = { type: FRAME_TYPE.pages, payloadLengthBytes: 300, epoch: 7, aux: 3 } as const;
const valid = new Uint8Array(FRAME_HEADER_BYTES);
writeFrameHeader(valid, 0, header);

void t.test('a header in the middle of a buffer', (t) => {
  t.plan(3);
  const buffer = new Uint8Array(64).fill(0xff);
  writeFrameHeader(buffer.subarray(8), 3, header);
  t.strictSame(decodeFrameHeader(buffer.subarray(11), DATA_LIMITS_AT_DESTINATION), header);
  t.ok(buffer.subarray(0, 11).every((byte) => byte === 0xff));
  t.ok(buffer.subarray(27).every((byte) => byte === 0xff));
});

void t.test('every wrong field is its own fault, in the stated order', (t) => {
  const cases: [string, Uint8Array, FrameLimits, string][] = [
    ['empty', new Uint8Array(0), DATA_LIMITS_AT_DESTINATION, 'truncated'],
    ['15 bytes', valid.subarray(0, 15), DATA_LIMITS_AT_DESTINATION, 'truncated'],
    ['all zero', new Uint8Array(16), DATA_LIMITS_AT_DESTINATION, 'unknown-frame-type'],
    ['type 9', patched(valid, { 4: 9 }), DATA_LIMITS_AT_DESTINATION, 'unknown-frame-type'],
    ['type 255', patched(valid, { 4: 255 }), DATA_LIMITS_AT_DESTINATION, 'unknown-frame-type'],
    ['no payload', patched(valid, { 0: 0, 1: 0 }), DATA_LIMITS_AT_DESTINATION, 'payload-too-short'],
    ['4 GiB', patched(valid, { 3: 0xff }), DATA_LIMITS_AT_DESTINATION, 'payload-too-long'],
    ['reserved 5', patched(valid, { 5: 1 }), DATA_LIMITS_AT_DESTINATION, 'reserved-not-zero'],
    ['reserved 6', patched(valid, { 6: 1 }), DATA_LIMITS_AT_DESTINATION, 'reserved-not-zero'],
    ['reserved 7', patched(valid, { 7: 1 }), DATA_LIMITS_AT_DESTINATION, 'reserved-not-zero'],
    ['epoch 0', patched(valid, { 8: 0 }), DATA_LIMITS_AT_DESTINATION, 'zero-epoch'],
    ['a length of another type', patched(valid, { 4: 3 }), DATA_LIMITS_BEFORE_ACCEPT, 'payload-too-long'],
    ['aux of a control frame', patched(valid, { 4: 1 }), CONTROL_LIMITS, 'unexpected-value'],
    [
      '20 KiB control, before hello',
      patched(valid, { 1: 80, 4: 1, 12: 0 }),
      CONTROL_LIMITS_BEFORE_HELLO,
      'payload-too-long',
    ],
    ['20 KiB control, after hello', patched(valid, { 1: 80, 4: 1, 12: 0 }), CONTROL_LIMITS, 'none'],
  ];
  t.plan(cases.length);
  for (const [name, bytes, limits, fault] of cases) {
    t.equal(
      faultOf(() => decodeFrameHeader(bytes, limits)),
      fault,
      name,
    );
  }
});

void t.test('which types a connection takes', (t) => {
  const cases: [string, FrameLimits, number[]][] = [
    ['control, before hello', CONTROL_LIMITS_BEFORE_HELLO, [1]],
    ['control', CONTROL_LIMITS, [1, 6]],
    ['data, before accept', DATA_LIMITS_BEFORE_ACCEPT, [3]],
    ['data, at the destination', DATA_LIMITS_AT_DESTINATION, [2, 5, 7, 8]],
    ['data, at the source', DATA_LIMITS_AT_SOURCE, [4, 7, 8]],
  ];
  t.plan(cases.length);
  for (const [name, limits, taken] of cases) {
    const allowed = Object.values(FRAME_TYPE).filter(
      (type) => faultOf(() => decodeFrameHeader(patched(valid, { 4: type }), limits)) !== 'frame-not-allowed',
    );
    t.same(allowed, taken, name);
  }
});

void t.test('epochs', (t) => {
  t.plan(3);
  t.equal(
    faultOf(() => checkEpoch(header, 7)),
    'none',
  );
  t.equal(
    faultOf(() => checkEpoch(header, 8)),
    'stale-epoch',
  );
  t.equal(
    faultOf(() => checkEpoch(header, 6)),
    'future-epoch',
  );
});

void t.test('encoding asserts what decoding checks', (t) => {
  t.plan(4);
  const target = new Uint8Array(16);
  t.throws(() => writeFrameHeader(target, 0, { ...header, payloadLengthBytes: 16 }), RangeError);
  t.throws(() => writeFrameHeader(target, 0, { ...header, epoch: 0 }), RangeError);
  t.throws(() => writeFrameHeader(target, 0, { ...header, type: FRAME_TYPE.control }), RangeError);
  t.throws(
    () => encodeFrame({ type: FRAME_TYPE.dataAccept, epoch: 1, aux: 0, payload: new Uint8Array(5) }),
    RangeError,
  );
});
