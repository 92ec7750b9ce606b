import t from 'tap';
import {
  decodeDigestAnswer,
  decodeDigestRequest,
  decodeUnaskedDigestAnswer,
  digestExchangeOf,
  encodeDigestAnswer,
  encodeDigestRequest,
  type DigestRange,
} from '../src/digest-frames.ts';
import { DIGESTS_PER_FRAME_MAX } from '../src/limits.ts';
import { faultOf, patched } from './faults.ts';

const range = { block: 1, stream: 2, first: 90, count: 10 };
const bounds = { stream: 2, blockCount: 2, limitOf: (block: number) => (block === 1 ? 100 : 10) };
const request = encodeDigestRequest(range);

void t.test('requests', (t) => {
  const cases: [string, Uint8Array, string][] = [
    ['as sent', request, 'none'],
    ['a byte short', request.subarray(0, 11), 'truncated'],
    ['a byte long', Uint8Array.of(...request, 0), 'trailing-bytes'],
    ['another stream', wide({ stream: 1 }), 'unexpected-value'],
    ['an unknown block', wide({ block: 2 }), 'out-of-range'],
    ['nothing', patched(request, { 8: 0 }), 'zero-count'],
    ['one index too far', wide({ first: 91 }), 'out-of-range'],
    ['beyond another block', wide({ block: 0, first: 1 }), 'out-of-range'],
    ['at the end of numbers', wide({ first: 0xffffffff, count: 1 }), 'out-of-range'],
    ['more than a frame', patched(request, { 10: 0xff }), 'out-of-range'],
  ];
  t.plan(cases.length);
  for (const [name, bytes, fault] of cases) {
    t.equal(
      faultOf(() => decodeDigestRequest(bytes, bounds)),
      fault,
      name,
    );
  }
});

void t.test('answers', (t) => {
  const valid = encodeDigestAnswer({ ...range, digests: new Uint8Array(160).fill(7) });
  const cases: [string, Uint8Array, string][] = [
    ['as sent', valid, 'none'],
    ['without digests', request, 'truncated'],
    ['half a digest', valid.subarray(0, 164), 'truncated'],
    ['a digest too many', Uint8Array.of(...valid, ...new Uint8Array(16)), 'trailing-bytes'],
    ['another block', patched(valid, { 0: 0 }), 'unexpected-value'],
    ['another stream', patched(valid, { 2: 0 }), 'unexpected-value'],
    ['another first', patched(valid, { 4: 91 }), 'unexpected-value'],
    ['another count', patched(valid, { 8: 9 }), 'unexpected-value'],
  ];
  t.plan(cases.length);
  for (const [name, bytes, fault] of cases) {
    t.equal(
      faultOf(() => decodeDigestAnswer(bytes, range)),
      fault,
      name,
    );
  }
});

void t.test('answers whose request was not seen', (t) => {
  const digests = new Uint8Array(160).fill(7);
  const valid = encodeDigestAnswer({ ...range, digests });
  const cases: [string, Uint8Array, string][] = [
    ['without a range', valid.subarray(0, 11), 'truncated'],
    ['without digests', request, 'truncated'],
    ['a digest too many', Uint8Array.of(...valid, ...new Uint8Array(16)), 'trailing-bytes'],
    ['another stream', patched(valid, { 2: 0 }), 'unexpected-value'],
    ['an unknown block', patched(valid, { 0: 2 }), 'out-of-range'],
    ['one index too far', patched(valid, { 4: 91 }), 'out-of-range'],
    ['nothing', patched(valid, { 8: 0 }), 'zero-count'],
    ['more than a frame', patched(valid, { 10: 0xff }), 'out-of-range'],
  ];
  t.plan(cases.length + 1);
  for (const [name, bytes, fault] of cases) {
    t.equal(
      faultOf(() => decodeUnaskedDigestAnswer(bytes, bounds)),
      fault,
      name,
    );
  }
  t.same(decodeUnaskedDigestAnswer(valid, bounds), { ...range, digests });
});

void t.test('which half a frame is', (t) => {
  t.plan(4);
  t.equal(digestExchangeOf(1), 'request');
  t.equal(digestExchangeOf(2), 'answer');
  for (const aux of [0, 3]) {
    t.equal(
      faultOf(() => digestExchangeOf(aux)),
      'unexpected-value',
    );
  }
});

void t.test('encoding asserts', (t) => {
  t.plan(3);
  t.throws(() => encodeDigestRequest({ ...range, count: 0 }), RangeError);
  t.throws(() => encodeDigestRequest({ ...range, count: DIGESTS_PER_FRAME_MAX + 1 }), RangeError);
  t.throws(() => encodeDigestAnswer({ ...range, digests: new Uint8Array(159) }), RangeError);
});

function wide(change: Partial<DigestRange>): Uint8Array {
  return encodeDigestRequest({ ...range, ...change });
}
