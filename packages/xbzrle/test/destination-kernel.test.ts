import * as fc from 'fast-check';
import t from 'tap';
import { decode } from '../src/codec.ts';
import {
  BATCH_PAGES,
  DESTINATION_PREFIX_BYTES,
  EXTENT_PAGES,
  FRAME_RECORDS_MAX_BYTES,
  PAGE_SIZE,
} from '../src/constants.ts';
import { DestinationKernel } from '../src/destination-kernel.ts';
import { digest, zeroDigest } from '../src/digest.ts';
import { ZERO_ROOT, addRoots, mix } from '../src/root.ts';
import { faultOf } from './fault-of.ts';
import { HOSTILE_PAYLOADS, bytesOf } from './hostile.ts';
import { SECRET } from './stream.ts';
import { fillRandom, randomPage, readVectors } from './vectors.ts';

const kernel = new DestinationKernel({ secret: SECRET });
const end = DESTINATION_PREFIX_BYTES + FRAME_RECORDS_MAX_BYTES;

/** Puts a payload into the frame and applies it to a staged page between two guards. */
function applied(payload: Uint8Array, page: Uint8Array, frameOffset: number): Uint8Array | undefined {
  kernel.frame.set(payload, frameOffset);
  kernel.staging.fill(0xaa, 0, 3 * PAGE_SIZE);
  kernel.staging.set(page, PAGE_SIZE);
  const isValid = kernel.isValidDelta(frameOffset, payload.length);
  const isApplied = kernel.applyDelta(1, frameOffset, payload.length);
  const guards = [
    kernel.staging.subarray(0, PAGE_SIZE),
    kernel.staging.subarray(2 * PAGE_SIZE, 3 * PAGE_SIZE),
  ];
  if (isValid !== isApplied) throw new Error('isValidDelta and applyDelta disagree');
  if (!guards.every((guard) => guard.every((byte) => byte === 0xaa)))
    throw new Error('wrote beside the page');
  const result = kernel.staging.slice(PAGE_SIZE, 2 * PAGE_SIZE);
  if (!isApplied && !Buffer.from(result).equals(page)) throw new Error('half-patched');
  return isApplied ? result : undefined;
}

function referenceApplied(payload: Uint8Array, page: Uint8Array): Uint8Array | undefined {
  const copy = page.slice();
  return faultOf(() => decode(payload, copy)) === undefined ? copy : undefined;
}

void t.test('vectors: QEMU’s payloads patch the page, wherever they lie in the frame', (t) => {
  const vectors = readVectors().filter(({ encoded }) => encoded !== undefined);
  t.plan(vectors.length);
  for (const [i, { name, oldPage, newPage, encoded = '' }] of vectors.entries()) {
    const payload = Buffer.from(encoded, 'hex');
    t.same(applied(payload, oldPage, i % 2 ? end - payload.length : i), newPage, name);
  }
});

void t.test('hostile payloads are refused and change nothing', (t) => {
  t.plan(2 * HOSTILE_PAYLOADS.length);
  for (const { name, payload } of HOSTILE_PAYLOADS) {
    const bytes = bytesOf(payload);
    t.equal(applied(bytes, randomPage(5), 64), undefined, name);
    t.equal(applied(bytes, randomPage(5), end - bytes.length), undefined, `${name}, at the frame's end`);
  }
});

void t.test('bytes behind the payload do not count: every truncation', (t) => {
  const payload = Buffer.from('00015a03025a5a8101035a5a5a', 'hex');
  t.plan(payload.length);
  for (let length = 0; length < payload.length; length++) {
    kernel.frame.set(payload, 64);
    const page = randomPage(9);
    t.same(
      applied(payload.subarray(0, length), page, 64),
      referenceApplied(payload.subarray(0, length), page),
    );
  }
});

void t.test('random payloads: the same verdict and page as the reference', (t) => {
  t.plan(1);
  const page = randomPage(7);
  const count = fc.oneof(fc.integer({ min: 0, max: 130 }), fc.integer({ min: 0, max: 4097 }));
  const pair = fc.tuple(count, count, fc.integer({ min: -1, max: 1 }));
  const shaped = fc
    .array(pair, { minLength: 1, maxLength: 6 })
    .map((pairs) =>
      Uint8Array.from(
        pairs.flatMap(([unchanged, changed, slip], i) => [
          ...uleb(unchanged),
          ...uleb(changed),
          ...new Uint8Array(Math.max(0, changed + (i === 3 ? slip : 0))).fill(i + 1),
        ]),
      ),
    );
  const property = fc.property(fc.oneof(shaped, fc.uint8Array({ maxLength: 40 })), (payload) => {
    const expected = referenceApplied(payload, page);
    const result = applied(payload, page, 64);
    return expected === undefined ? result === undefined : Buffer.from(expected).equals(result ?? zeros);
  });
  fc.assert(property, { interruptAfterTimeLimit: 2000, numRuns: 3000 });
  t.pass();
});

void t.test('literals of every length leave their neighbours alone', (t) => {
  t.plan(1);
  const page = randomPage(3);
  const wrong: number[] = [];
  for (let length = 1; length <= 130; length++) {
    const payload = Uint8Array.from([...uleb(200), ...uleb(length), ...new Uint8Array(length).fill(1)]);
    const result = applied(payload, page, 64);
    if (!Buffer.from(result ?? []).equals(referenceApplied(payload, page) ?? zeros)) wrong.push(length);
  }
  t.same(wrong, []);
});

void t.test('pages in the frame, in staging and zero pages: digests and one root', (t) => {
  t.plan(4);
  fillRandom(kernel.frame, 31);
  fillRandom(kernel.staging, 32);
  kernel.root.fill(0);
  const steps: [
    name: string,
    first: number,
    count: number,
    run: () => void,
    page: (i: number) => Uint8Array,
  ][] = [
    [
      'frame',
      40,
      BATCH_PAGES,
      () => kernel.digestFramePages(73, 40, BATCH_PAGES),
      (i) => slicePage(kernel.frame, 73, i),
    ],
    ['staging', 700, 5, () => kernel.digestStaging(700, 5), (i) => slicePage(kernel.staging, 0, i)],
  ];
  let root = ZERO_ROOT;
  for (const [name, first, count, run, page] of steps) {
    kernel.digests.fill(0);
    run();
    const expected = Array.from({ length: count }, (_, i) => digest(page(i), SECRET));
    t.same(kernel.digests.subarray(0, count * 16), Buffer.concat(expected), name);
    expected.forEach((value, i) => (root = addRoots(root, mix(first + i, value))));
  }
  kernel.digests.fill(0);
  kernel.zeroPages(1000, EXTENT_PAGES);
  const zero = zeroDigest(SECRET);
  t.same(kernel.digests, Buffer.concat(Array.from({ length: EXTENT_PAGES }, () => zero)));
  for (let i = 0; i < EXTENT_PAGES; i++) root = addRoots(root, mix(1000 + i, zero));
  t.same(kernel.root, root);
});

void t.test('offsets and counts outside the buffers are asserted', (t) => {
  const { frame } = kernel;
  const calls: (() => unknown)[] = [
    () => kernel.isValidDelta(frame.length - 1, 2),
    () => kernel.isValidDelta(-1, 2),
    () => kernel.isValidDelta(0.5, 2),
    () => kernel.applyDelta(BATCH_PAGES, 0, 3),
    () => kernel.digestFramePages(frame.length - PAGE_SIZE + 1, 0, 1),
    () => kernel.digestFramePages(0, 0, BATCH_PAGES + 1),
    () => kernel.digestStaging(0, BATCH_PAGES + 1),
    () => kernel.zeroPages(0, EXTENT_PAGES + 1),
    () => kernel.zeroPages(2 ** 32 - 1, 2),
  ];
  t.plan(calls.length);
  for (const call of calls) t.throws(call, { code: 'ERR_ASSERTION' });
});

const zeros = randomPage(0);

function slicePage(bytes: Uint8Array, offset: number, index: number): Uint8Array {
  return bytes.slice(offset + index * PAGE_SIZE, offset + (index + 1) * PAGE_SIZE);
}

function uleb(count: number): number[] {
  return count < 128 ? [count] : [(count & 127) | 128, count >> 7];
}
