// Kernel against reference: payloads byte for byte, digests, roots, and pages at the other end.
import * as fc from 'fast-check';
import t from 'tap';
import { encode } from '../src/codec.ts';
import { EXTENT_PAGES, PAGE_SIZE } from '../src/constants.ts';
import { digest, zeroDigest } from '../src/digest.ts';
import { ZERO_ROOT, addRoots, mix } from '../src/root.ts';
import { SourceKernel } from '../src/source-kernel.ts';
import { layoutOf, type PageRecord } from './records.ts';
import { SECRET, TestStream } from './stream.ts';
import { edited, fillRandom, randomPage, randomPages, readVectors } from './vectors.ts';

const BULK = { useXbzrle: false } as const;
const zeros = randomPage(0);

/** The kernel's payload for a change from one page to the other, or undefined where it sends the page. */
function kernelPayload(stream: TestStream, oldPage: Uint8Array, newPage: Uint8Array): Uint8Array | undefined {
  stream.send(0, [oldPage]);
  const [record] = stream.send(0, [newPage]);
  return record?.kind === 'xbzrle' ? record.bytes : undefined;
}

function referencePayload(oldPage: Uint8Array, newPage: Uint8Array): Uint8Array | undefined {
  const out = new Uint8Array(PAGE_SIZE);
  const length = encode(oldPage, newPage, out);
  return length > 0 ? out.slice(0, length) : undefined;
}

void t.test('vectors: payloads are the reference’s', (t) => {
  const vectors = readVectors();
  t.plan(vectors.length);
  for (const { name, oldPage, newPage } of vectors) {
    const isLearnedZero = newPage.every((byte) => byte === 0);
    const expected = isLearnedZero ? undefined : referencePayload(oldPage, newPage);
    t.same(kernelPayload(new TestStream({ slotCount: 1 }), oldPage, newPage), expected, name);
  }
});

void t.test('random edits: payloads are the reference’s, dense and sparse, across block borders', (t) => {
  t.plan(1);
  const stream = new TestStream({ slotCount: 1 });
  const edit = fc.tuple(
    fc.nat(4095),
    fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 700 })),
  );
  const edits = fc.oneof(
    fc.array(edit, { maxLength: 12 }),
    fc.array(edit, { minLength: 100, maxLength: 400 }),
  );
  const property = fc.property(edits, fc.integer({ min: 1, max: 2 ** 31 - 1 }), (ranges, seed) => {
    const oldPage = randomPage(seed);
    const newPage = edited(
      oldPage,
      ranges.map(([at, length]) => [at, Math.min(length, PAGE_SIZE - at)] as const),
    );
    const payload = kernelPayload(stream, oldPage, newPage);
    const expected = referencePayload(oldPage, newPage);
    return Buffer.from(payload ?? '').equals(expected ?? Buffer.alloc(0));
  });
  fc.assert(property, { interruptAfterTimeLimit: 3000, numRuns: 3000 });
  t.pass();
});

void t.test('payloads of every length near the limit', (t) => {
  t.plan(1);
  const stream = new TestStream({ slotCount: 1 });
  const wrong: string[] = [];
  for (const start of [0, 1, 63, 64, 127, 128, 129])
    for (let length = PAGE_SIZE - start - 12; length <= PAGE_SIZE - start; length++) {
      const oldPage = randomPage(start + length);
      const newPage = edited(oldPage, [[start, length]]);
      const expected = Buffer.from(referencePayload(oldPage, newPage) ?? '');
      if (!expected.equals(kernelPayload(stream, oldPage, newPage) ?? Buffer.alloc(0)))
        wrong.push(`${start}+${length}`);
    }
  t.same(wrong, []);
});

void t.test('short runs overflow exactly where the reference says', (t) => {
  t.plan(2);
  const stream = new TestStream({ slotCount: 1 });
  const outcomes = new Set<string>();
  const wrong: string[] = [];
  for (let run = 1; run <= 17; run++)
    for (const start of [0, 1, 2, 3]) {
      const oldPage = randomPage(run);
      const count = Math.floor((PAGE_SIZE - start) / (run + 2));
      const ranges = Array.from({ length: count }, (_, i) => [start + i * (run + 2), run] as const);
      const tail = start + count * (run + 2);
      const newPage = edited(oldPage, [...ranges, [tail, Math.min(run, PAGE_SIZE - tail)]]);
      const expected = Buffer.from(referencePayload(oldPage, newPage) ?? '');
      outcomes.add(expected.length === 0 ? 'overflow' : 'fits');
      if (!expected.equals(kernelPayload(stream, oldPage, newPage) ?? Buffer.alloc(0)))
        wrong.push(`${run}@${start}`);
    }
  t.same(wrong, []);
  t.equal(outcomes.size, 2, 'some fit and some do not');
});

void t.test('a single byte anywhere makes a page not zero', (t) => {
  t.plan(2);
  const stream = new TestStream();
  for (let first = 0; first < PAGE_SIZE; first += 256) {
    const pages = Array.from({ length: 256 }, (_, i) => edited(zeros, [[first + i, 1]]));
    stream.append(first, pages, BULK);
    stream.kernel.begin(0);
  }
  t.match(stream.kernel.counters(), { normal: PAGE_SIZE, zero: 0 });
  t.same(layoutOf(stream.send(PAGE_SIZE, [zeros], BULK)), [`zero ${PAGE_SIZE}+1`]);
});

void t.test('digests and root are the reference’s', (t) => {
  t.plan(4);
  const blockOffset = 2 ** 32 - 100;
  const stream = new TestStream({}, blockOffset);
  const first = [...randomPages(1, 3), zeros, ...randomPages(9, 2)];
  const second = first.map((page, i) => (i % 2 ? page : edited(page, [[i, 40]])));
  t.equal(stream.append(5, first, BULK), 6);
  t.equal(stream.append(5, second, BULK), 3);
  t.same(
    [...stream.table.values()],
    second.map((page) => digest(page, SECRET)),
  );
  const contributions = second.map((page, i) => mix(blockOffset + 5 + i, digest(page, SECRET)));
  t.same(stream.root, contributions.reduce(addRoots, ZERO_ROOT));
});

void t.test('zero batches: holes of an extent', (t) => {
  t.plan(6);
  const stream = new TestStream();
  t.equal(stream.appendZeros(10, EXTENT_PAGES, BULK), EXTENT_PAGES);
  t.equal(stream.appendZeros(10, EXTENT_PAGES, BULK), 0, 'unchanged the second time');
  t.same(layoutOf(stream.take()), [`zero 10+${EXTENT_PAGES}`]);
  t.same(stream.table.get(300), zeroDigest(SECRET));
  t.match(stream.kernel.counters(), { zero: EXTENT_PAGES, unchanged: EXTENT_PAGES });
  t.equal(stream.append(10, [zeros], BULK), 0, 'a page read as zero is the same page');
});

void t.test('random batches: applied by an independent reader, they give the source’s pages', (t) => {
  t.plan(4);
  const stream = new TestStream({ cacheBytes: 8 * PAGE_SIZE });
  const source = Array.from({ length: 40 }, () => zeros.slice());
  const destination = source.map(() => new Uint8Array(PAGE_SIZE).fill(0xcc));
  const random = new Uint8Array(1600);
  fillRandom(random, 4242);
  const kinds = new Set<string>();
  const wrongSteps: number[] = [];
  for (let step = 0; step < 400; step++) {
    const [where = 0, what = 0, how = 0, length = 0] = random.subarray(step * 4);
    const first = where % 36;
    const page = source[first + (what % 4)] ?? zeros;
    if (how < 20) page.fill(0);
    else if (how < 60) fillRandom(page, step + 1);
    else page.fill(what, how * 8, how * 8 + length);
    const sent = source.slice(first, first + 4);
    for (const record of stream.send(first, sent, { generation: step >> 3 })) {
      kinds.add(record.kind);
      apply(record, destination);
    }
    if (!Buffer.concat(sent).equals(Buffer.concat(destination.slice(first, first + 4))))
      wrongSteps.push(step);
  }
  t.same(wrongSteps, []);
  t.same([...kinds].sort(), ['normal', 'xbzrle', 'zero']);
  const { xbzrlePages, cacheMiss, insertRefused } = stream.kernel.counters();
  t.ok(xbzrlePages > 50 && cacheMiss > 50 && insertRefused > 10, 'all paths were taken');
  t.same(
    stream.root,
    [...stream.table].map(([page, digest]) => mix(page, digest)).reduce(addRoots, ZERO_ROOT),
  );
});

void t.test('trusted arguments are asserted', (t) => {
  t.plan(6);
  const options = { secret: SECRET, cacheBytes: 0, eviction: 'age', slotCount: 1, headroomBytes: 0 } as const;
  const { kernel } = new TestStream();
  t.throws(() => new SourceKernel({ ...options, slotCount: 0 }));
  t.throws(() => new SourceKernel({ ...options, headroomBytes: -1 }));
  t.throws(() => kernel.input(2), /no such slot/);
  const stream = new TestStream();
  t.throws(() => stream.appendZeros(0, EXTENT_PAGES + 1));
  t.throws(() => stream.appendZeros(0, 0));
  t.throws(() => stream.appendZeros(2 ** 32 - 1, 2));
});

function apply({ kind, first, count, bytes }: PageRecord, pages: readonly Uint8Array[]): void {
  for (const [i, page] of pages.slice(first, first + count).entries()) {
    if (kind === 'zero') page.fill(0);
    else if (kind === 'normal') page.set(bytes.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE));
    else patch(page, bytes);
  }
}

/** QEMU's decoding, without its checks. */
function patch(page: Uint8Array, payload: Uint8Array): void {
  let at = 0;
  let offset = 0;
  const count = (): number => {
    const low = payload[offset++] ?? 0;
    return low < 128 ? low : (low & 127) + (payload[offset++] ?? 0) * 128;
  };
  while (offset < payload.length) {
    at += count();
    const changed = count();
    page.set(payload.subarray(offset, offset + changed), at);
    at += changed;
    offset += changed;
  }
}
