import t from 'tap';
import { beginsWithMagic, decodePreamble, encodePreamble, PREAMBLE_BYTES } from '../src/preamble.ts';
import { faultOf, patched } from './faults.ts';

const sessionId = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const valid = encodePreamble({ kind: 'data', sessionId });

void t.test('the session id is a copy', (t) => {
  t.plan(2);
  const bytes = Uint8Array.from(valid);
  const preamble = decodePreamble(bytes);
  bytes.fill(0);
  t.strictSame(preamble, { kind: 'data', sessionId });
  t.equal(valid.length, PREAMBLE_BYTES);
});

void t.test('every wrong field is its own fault', (t) => {
  const noId = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [8 + index, 0]));
  const cases: [string, Uint8Array, string][] = [
    ['empty', new Uint8Array(0), 'truncated'],
    ['one byte short', valid.subarray(0, 31), 'truncated'],
    ['one byte long', Uint8Array.of(...valid, 0), 'trailing-bytes'],
    ['first magic byte', patched(valid, { 0: 0x51 }), 'bad-magic'],
    ['last magic byte', patched(valid, { 3: 0 }), 'bad-magic'],
    ['version 0', patched(valid, { 4: 0 }), 'unsupported-preamble-version'],
    ['version 2', patched(valid, { 4: 2 }), 'unsupported-preamble-version'],
    ['kind 0', patched(valid, { 5: 0 }), 'unknown-connection-kind'],
    ['kind 3', patched(valid, { 5: 3 }), 'unknown-connection-kind'],
    ['short reserved, low', patched(valid, { 6: 1 }), 'reserved-not-zero'],
    ['short reserved, high', patched(valid, { 7: 1 }), 'reserved-not-zero'],
    ['long reserved, first', patched(valid, { 24: 1 }), 'reserved-not-zero'],
    ['long reserved, last', patched(valid, { 31: 1 }), 'reserved-not-zero'],
    ['no session id', patched(valid, noId), 'zero-session-id'],
    ['all zero', new Uint8Array(32), 'bad-magic'],
  ];
  t.plan(cases.length);
  for (const [name, bytes, fault] of cases) {
    t.equal(
      faultOf(() => decodePreamble(bytes)),
      fault,
      name,
    );
  }
});

void t.test('encoding asserts the session id', (t) => {
  t.plan(2);
  t.throws(() => encodePreamble({ kind: 'control', sessionId: new Uint8Array(15).fill(1) }), RangeError);
  t.throws(() => encodePreamble({ kind: 'control', sessionId: new Uint8Array(16) }), RangeError);
});

void t.test('a preamble is known by its first bytes', (t) => {
  t.plan(3);
  t.ok(beginsWithMagic(valid.subarray(0, 4)));
  t.notOk(beginsWithMagic(valid.subarray(0, 3)));
  t.notOk(beginsWithMagic(patched(valid, { 3: 0 })));
});
