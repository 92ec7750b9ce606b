import t from 'tap';
import {
  checkDataAccept,
  decodeDataAccept,
  decodeDataHello,
  decodeStreamRoundEnd,
  decodeUnprovenDataHello,
  encodeDataAccept,
  encodeDataHello,
  encodeStreamRoundEnd,
} from '../src/data-hello.ts';
import { faultOf, patched } from './faults.ts';

const sessionKey = new Uint8Array(16).fill(0x11);
const sessionId = new Uint8Array(16).fill(0x22);
const session = { sessionKey, sessionId, epoch: 3 };

void t.test('data-hello', (t) => {
  const valid = encodeDataHello(session, { stream: 1, streamCount: 2 });
  const otherKey = { ...session, sessionKey: new Uint8Array(16).fill(0x12) };
  const otherId = { ...session, sessionId: new Uint8Array(16).fill(0x23) };
  const cases: [string, Uint8Array, typeof session, number, string][] = [
    ['as sent', valid, session, 2, 'none'],
    ['a byte short', valid.subarray(0, 35), session, 2, 'truncated'],
    ['a byte long', Uint8Array.of(...valid, 0), session, 2, 'trailing-bytes'],
    ['another stream', patched(valid, { 0: 0 }), session, 2, 'wrong-proof'],
    ['stream 2 of 2', patched(valid, { 0: 2 }), session, 2, 'out-of-range'],
    ['another stream count', valid, session, 3, 'unexpected-value'],
    ['first bit of the proof', patched(valid, { 4: (valid[4] ?? 0) ^ 1 }), session, 2, 'wrong-proof'],
    ['last bit of the proof', patched(valid, { 35: (valid[35] ?? 0) ^ 128 }), session, 2, 'wrong-proof'],
    ['another key', valid, otherKey, 2, 'wrong-proof'],
    ['another session', valid, otherId, 2, 'wrong-proof'],
    ['an older epoch', valid, { ...session, epoch: 4 }, 2, 'wrong-proof'],
  ];
  t.plan(cases.length + 1);
  for (const [name, bytes, known, streamCount, fault] of cases) {
    t.equal(
      faultOf(() => decodeDataHello(bytes, known, streamCount)),
      fault,
      name,
    );
  }
  t.equal(decodeDataHello(valid, session, 2), 1);
});

void t.test('data-hello without the key', (t) => {
  const valid = encodeDataHello(session, { stream: 15, streamCount: 16 });
  const cases: [string, Uint8Array, string][] = [
    ['another proof', patched(valid, { 4: (valid[4] ?? 0) ^ 1 }), 'none'],
    ['a byte short', valid.subarray(0, 35), 'truncated'],
    ['a byte long', Uint8Array.of(...valid, 0), 'trailing-bytes'],
    ['no stream', patched(valid, { 0: 0, 2: 0 }), 'out-of-range'],
    ['stream 16 of 16', patched(valid, { 0: 16 }), 'out-of-range'],
    ['17 streams', patched(valid, { 2: 17 }), 'out-of-range'],
  ];
  t.plan(cases.length + 1);
  for (const [name, bytes, fault] of cases) {
    t.equal(
      faultOf(() => decodeUnprovenDataHello(bytes)),
      fault,
      name,
    );
  }
  t.same(decodeUnprovenDataHello(valid), { stream: 15, streamCount: 16 });
});

void t.test('data-accept', (t) => {
  const valid = encodeDataAccept(5);
  const cases: [string, Uint8Array, string][] = [
    ['as sent', valid, 'none'],
    ['a byte short', valid.subarray(0, 3), 'truncated'],
    ['a byte long', Uint8Array.of(...valid, 0), 'trailing-bytes'],
    ['another stream', encodeDataAccept(4), 'unexpected-value'],
    ['stream 16', encodeDataAccept(16), 'out-of-range'],
    ['reserved', patched(valid, { 3: 1 }), 'reserved-not-zero'],
  ];
  t.plan(cases.length + 1);
  t.equal(decodeDataAccept(valid), 5);
  for (const [name, bytes, fault] of cases) {
    t.equal(
      faultOf(() => checkDataAccept(bytes, 5)),
      fault,
      name,
    );
  }
});

void t.test('stream-round-end', (t) => {
  const valid = encodeStreamRoundEnd({ stream: 15, frameCount: 0xffffffff });
  const cases: [string, Uint8Array, string][] = [
    ['a byte short', valid.subarray(0, 7), 'truncated'],
    ['a byte long', Uint8Array.of(...valid, 0), 'trailing-bytes'],
    ['stream 16', patched(valid, { 0: 16 }), 'out-of-range'],
    ['reserved', patched(valid, { 2: 1 }), 'reserved-not-zero'],
  ];
  t.plan(cases.length + 1);
  for (const [name, bytes, fault] of cases) {
    t.equal(
      faultOf(() => decodeStreamRoundEnd(bytes)),
      fault,
      name,
    );
  }
  t.same(decodeStreamRoundEnd(valid), { stream: 15, frameCount: 0xffffffff });
});
