import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import { decode, encode } from '../src/codec.ts';
import { OVERFLOW, PAGE_SIZE, UNCHANGED } from '../src/constants.ts';
import { faultOf } from './fault-of.ts';
import { HOSTILE_PAYLOADS, bytesOf } from './hostile.ts';
import { edited, randomPage, readVectors } from './vectors.ts';

const vectors = readVectors();
const zeros = new Uint8Array(PAGE_SIZE);

function encoded(oldPage: Uint8Array, newPage: Uint8Array, limit = PAGE_SIZE): Uint8Array | number {
  const out = new Uint8Array(limit);
  const length = encode(oldPage, newPage, out);
  return length > 0 ? out.subarray(0, length) : length;
}

void t.test('vectors: QEMU’s encodings decode to the new page', (t) => {
  const withBytes = vectors.filter(({ encoded }) => encoded !== undefined);
  t.plan(1 + 2 * withBytes.length);
  t.equal(withBytes.length, 163);
  for (const { name, oldPage, newPage, encoded: hex = '' } of withBytes) {
    const page = oldPage.slice();
    decode(Buffer.from(hex, 'hex'), page);
    t.same(page, newPage, name);
    const vector = vectors.find((v) => v.name === name);
    t.match(vector, { sha256: createHash('sha256').update(hex, 'hex').digest('hex') }, name);
  }
});

void t.test('vectors: ours is never longer than QEMU’s and decodes', (t) => {
  t.plan(vectors.length);
  for (const { name, oldPage, newPage, result, encoded: hex } of vectors) {
    const ours = encoded(oldPage, newPage);
    if (typeof ours === 'number') {
      t.equal(ours, { unchanged: UNCHANGED, overflow: OVERFLOW }[result], name);
      continue;
    }
    const page = oldPage.slice();
    decode(ours, page);
    const isShorter = typeof result !== 'number' || ours.length < result;
    t.ok(Buffer.from(page).equals(newPage) && (isShorter || hex === Buffer.from(ours).toString('hex')), name);
  }
});

const cases: readonly [name: string, edits: [number, number][], limit: number, hex: string | number][] = [
  ['nothing', [], 4096, UNCHANGED],
  ['byte 0', [[0, 1]], 4096, '00015a'],
  ['byte 127', [[127, 1]], 4096, '7f015a'],
  ['byte 128', [[128, 1]], 4096, '8001015a'],
  ['byte 4095', [[4095, 1]], 4096, 'ff1f015a'],
  [
    'a gap of one is merged',
    [
      [8, 1],
      [10, 1],
    ],
    4096,
    '08035a005a',
  ],
  [
    'a gap of one at a block border',
    [
      [62, 1],
      [64, 1],
    ],
    4096,
    '3e035a005a',
  ],
  [
    'a gap of one behind a block border',
    [
      [63, 1],
      [65, 1],
    ],
    4096,
    '3f035a005a',
  ],
  [
    'a gap of two is not',
    [
      [8, 1],
      [11, 1],
    ],
    4096,
    '08015a02015a',
  ],
  ['a gap of one before the end', [[4094, 1]], 4096, 'fe1f015a'],
  ['a run over a block border', [[63, 2]], 4096, '3f025a5a'],
  ['exactly the limit', [[0, 3]], 5, '00035a5a5a'],
  ['one byte too few', [[0, 3]], 4, OVERFLOW],
  [
    'the second run does not fit',
    [
      [0, 3],
      [9, 1],
    ],
    7,
    OVERFLOW,
  ],
  [
    'the header does not fit',
    [
      [0, 3],
      [9, 1],
    ],
    5,
    OVERFLOW,
  ],
];

void t.test('encodings by hand', (t) => {
  t.plan(cases.length);
  for (const [name, edits, limit, expected] of cases) {
    const result = encoded(zeros, edited(zeros, edits), limit);
    t.equal(typeof result === 'number' ? result : Buffer.from(result).toString('hex'), expected, name);
  }
});

void t.test('limits of a full page', (t) => {
  const table = [
    [4092, 4095, 4095],
    [4093, 4096, 4096],
    [4094, OVERFLOW, OVERFLOW],
    [4096, OVERFLOW, OVERFLOW],
  ] as const;
  t.plan(2 * table.length);
  for (const [count, length, backLength] of table) {
    const front = encode(zeros, edited(zeros, [[0, count]]), new Uint8Array(PAGE_SIZE));
    t.equal(front, length, `first ${count}, where QEMU refuses 4092 and 4093`);
    const back = encode(zeros, edited(zeros, [[PAGE_SIZE - count, count]]), new Uint8Array(PAGE_SIZE));
    t.equal(back, backLength, `last ${count}`);
  }
});

void t.test('hostile payloads are refused with their reason and change nothing', (t) => {
  t.plan(2 * HOSTILE_PAYLOADS.length);
  for (const { name, payload, reason } of HOSTILE_PAYLOADS) {
    const page = randomPage(5);
    t.match(
      faultOf(() => decode(bytesOf(payload), page)),
      { code: 'malformed-payload', reason },
      name,
    );
    t.same(page, randomPage(5), `${name}: page unchanged`);
  }
});

void t.test('every truncation is refused or ends at a pair, and never half-patches', (t) => {
  const some = vectors.filter(({ encoded }) => (encoded?.length ?? 0) > 2).filter((_, i) => i % 9 === 0);
  t.plan(some.length);
  for (const { name, oldPage, encoded: hex = '' } of some) {
    const payload = Buffer.from(hex, 'hex');
    const ends = pairEnds(payload);
    const wrong: number[] = [];
    for (let length = 0; length < payload.length; length++) {
      const page = oldPage.slice();
      const isAccepted = accepts(payload.subarray(0, length), page);
      if (isAccepted !== ends.has(length) || (!isAccepted && !Buffer.from(page).equals(oldPage)))
        wrong.push(length);
    }
    t.same(wrong, [], name);
  }
});

void t.test('random edits survive a round trip, in no more bytes than without merging', (t) => {
  t.plan(1);
  const edits = fc.array(fc.tuple(fc.nat(4000), fc.integer({ min: 1, max: 96 })), { maxLength: 40 });
  const property = fc.property(edits, fc.integer({ min: 1, max: 2 ** 31 - 1 }), (ranges, seed) => {
    const oldPage = randomPage(seed);
    const newPage = edited(oldPage, ranges);
    const result = encoded(oldPage, newPage);
    if (result === OVERFLOW) return plainLength(oldPage, newPage) > PAGE_SIZE;
    if (typeof result === 'number') return Buffer.from(oldPage).equals(newPage);
    const page = oldPage.slice();
    decode(result, page);
    return Buffer.from(page).equals(newPage) && result.length <= plainLength(oldPage, newPage);
  });
  fc.assert(property, { interruptAfterTimeLimit: 1500, numRuns: 2000 });
  t.pass();
});

void t.test('random bytes either decode or change nothing', (t) => {
  t.plan(1);
  const property = fc.property(fc.uint8Array({ maxLength: 64 }), (payload) => {
    const page = zeros.slice();
    return accepts(payload, page) || Buffer.from(page).equals(zeros);
  });
  fc.assert(property, { interruptAfterTimeLimit: 1000, numRuns: 5000 });
  t.pass();
});

function accepts(payload: Uint8Array, page: Uint8Array): boolean {
  return faultOf(() => decode(payload, page)) === undefined;
}

/** Where whole pairs end in a valid payload: a truncation there is a shorter, valid payload. */
function pairEnds(payload: Uint8Array): Set<number> {
  const ends = new Set<number>();
  let at = 0;
  const count = (): number => {
    const low = payload[at++] ?? 0;
    return low < 0x80 ? low : (low & 0x7f) + (payload[at++] ?? 0) * 128;
  };
  while (at < payload.length) {
    count();
    const changed = count();
    at += changed;
    ends.add(at);
  }
  return ends;
}

/** Length of QEMU's form: maximal runs, no merging. */
function plainLength(oldPage: Uint8Array, newPage: Uint8Array): number {
  let length = 0;
  let at = 0;
  for (;;) {
    const from = at;
    while (at < PAGE_SIZE && oldPage[at] === newPage[at]) at++;
    if (at === PAGE_SIZE) return length;
    const start = at;
    while (at < PAGE_SIZE && oldPage[at] !== newPage[at]) at++;
    length += headerLength(start - from) + headerLength(at - start) + at - start;
  }
}

function headerLength(count: number): number {
  return count < 128 ? 1 : 2;
}
