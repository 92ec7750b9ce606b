// Kernel against reference: payloads byte for byte, digests, roots, and the layout of frames.
import * as fc from 'fast-check';
import t from 'tap';
import { encode } from '../src/codec.ts';
import {
  BATCH_PAGES,
  DIRECT_MIN_PAGES,
  EXTENT_PAGES,
  FRAME_RECORDS_MAX_BYTES,
  PAGE_SIZE,
} from '../src/constants.ts';
import { digest, zeroDigest } from '../src/digest.ts';
import { ZERO_ROOT, addRoots, mix } from '../src/root.ts';
import { SourceKernel } from '../src/source-kernel.ts';
import { layoutOf, readRecords, type PageRecord } from './records.ts';
import { HEADROOM_BYTES, SECRET, TestStream } from './stream.ts';
import { edited, fillRandom, randomPage, readVectors } from './vectors.ts';

const BULK = { useXbzrle: false } as const;
const zeros = randomPage(0);
const pagesFrom = (seed: number, count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => randomPage(seed + i));

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

void t.test('digests and root are the reference’s', (t) => {
  t.plan(4);
  const blockOffset = 2 ** 32 - 100;
  const stream = new TestStream({}, blockOffset);
  const first = [...pagesFrom(1, 3), zeros, ...pagesFrom(9, 2)];
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

void t.test('records of a kind merge into runs, across batches too', (t) => {
  t.plan(3);
  const stream = new TestStream();
  const [a = zeros, b = zeros, c = zeros, d = zeros] = pagesFrom(1, 4);
  stream.append(0, [zeros, zeros, a, b], BULK);
  stream.append(4, [c, zeros], BULK);
  stream.appendZeros(6, 3, BULK);
  stream.append(9, [zeros, d], BULK);
  stream.append(12, [a], BULK);
  const records = stream.take();
  t.same(layoutOf(records), ['zero 0+2', 'normal 2+3', 'zero 5+5', 'normal 10+1', 'normal 12+1']);
  t.same(records[1]?.bytes, Uint8Array.from([...a, ...b, ...c]));
  t.same(records[4]?.bytes, a);
});

void t.test('an unchanged page splits a run', (t) => {
  t.plan(1);
  const stream = new TestStream();
  const pages = pagesFrom(1, 3);
  stream.send(1, pages.slice(1, 2), BULK);
  t.same(layoutOf(stream.send(0, pages, BULK)), ['normal 0+1', 'normal 2+1']);
});

void t.test('a delta between raw pages stands in page order', (t) => {
  t.plan(3);
  const stream = new TestStream();
  const pages = pagesFrom(1, 4);
  stream.send(2, pages.slice(2, 3));
  const changed = pages.map((page, i) => (i === 2 ? edited(page, [[100, 3]]) : page));
  const records = stream.send(0, changed);
  t.same(layoutOf(records), ['normal 0+2', 'xbzrle 2+1', 'normal 3+1']);
  t.equal(
    Buffer.from(records[1]?.bytes ?? [])
      .toString('hex')
      .slice(0, 4),
    '6403',
  );
  t.same(records[2]?.bytes, pages[3]);
});

void t.test(
  'a whole raw batch becomes the frame without a copy, with the same bytes as a copied one',
  (t) => {
    t.plan(8);
    const pages = pagesFrom(1, BATCH_PAGES);
    const direct = new TestStream();
    direct.append(7, pages, BULK);
    const frame = direct.kernel.frame(0);
    t.equal(
      frame.byteOffset + HEADROOM_BYTES + 9,
      direct.kernel.input(0).byteOffset,
      'it is the input buffer',
    );
    t.notOk(direct.kernel.hasRoom(0), 'so nothing can be appended');
    t.notOk(direct.kernel.hasRoom(0, 1));
    t.ok(direct.kernel.hasRoom(1));

    const copied = new TestStream();
    for (let first = 0; first < BATCH_PAGES; first += 64)
      copied.append(7 + first, pages.slice(first, first + 64), BULK);
    t.notOk(isDirect(copied));
    t.same(copied.kernel.frame(0).subarray(HEADROOM_BYTES), frame.subarray(HEADROOM_BYTES));
    t.same(copied.root, direct.root);

    direct.take();
    t.ok(direct.kernel.hasRoom(0), 'a new frame has room again');
  },
);

void t.test('frames that are not made without a copy', (t) => {
  t.plan(5);
  const few = new TestStream();
  few.append(0, pagesFrom(1, DIRECT_MIN_PAGES - 1), BULK);
  t.notOk(isDirect(few), 'few pages');
  const enough = new TestStream();
  enough.append(0, pagesFrom(1, DIRECT_MIN_PAGES), BULK);
  t.ok(isDirect(enough), 'enough');
  const withZero = new TestStream();
  withZero.append(0, [...pagesFrom(1, DIRECT_MIN_PAGES), zeros], BULK);
  t.notOk(isDirect(withZero), 'a zero page at the end');
  const notEmpty = new TestStream();
  notEmpty.append(0, [zeros], BULK);
  notEmpty.append(1, pagesFrom(1, DIRECT_MIN_PAGES), BULK);
  t.notOk(isDirect(notEmpty), 'a frame with records');
  t.same(layoutOf(notEmpty.take()), ['zero 0+1', `normal 1+${DIRECT_MIN_PAGES}`]);
});

void t.test('room: the worst batch fits whenever there is room, and is refused otherwise', (t) => {
  t.plan(7);
  const stream = new TestStream({ cacheBytes: 512 * PAGE_SIZE, eviction: 'newest' });
  // Deltas of the greatest length: all but the last three bytes of a page.
  const old = pagesFrom(1, BATCH_PAGES);
  stream.send(0, old);
  stream.append(300, pagesFrom(1000, 15), BULK);
  t.ok(stream.kernel.hasRoom(0));
  stream.append(
    0,
    old.map((page) => edited(page, [[0, 4093]])),
  );
  t.ok(stream.kernel.recordBytes(0) <= FRAME_RECORDS_MAX_BYTES);
  const layout = layoutOf(stream.take());
  t.equal(layout.filter((line) => line.startsWith('xbzrle')).length, BATCH_PAGES);

  stream.append(300, pagesFrom(2000, 16), BULK);
  t.notOk(stream.kernel.hasRoom(0), 'a full batch does not fit');
  t.throws(() => stream.append(0, old), /full/);
  t.ok(stream.kernel.hasRoom(0, 200), 'a smaller one does');
  stream.append(0, old.slice(0, 200));
  t.same(layoutOf(stream.take()), ['normal 300+16', ...old.slice(0, 200).map((_, i) => `xbzrle ${i}+1`)]);
});

void t.test('headroom is the caller’s, before both areas, and slots do not touch each other', (t) => {
  t.plan(4);
  const stream = new TestStream();
  const page = randomPage(3);
  const many = pagesFrom(1, BATCH_PAGES);
  stream.append(0, many, BULK, 0);
  stream.append(500, [page], BULK, 1);
  for (const slot of [0, 1]) {
    const frame = stream.kernel.frame(slot);
    frame.fill(0xee, 0, HEADROOM_BYTES);
    t.equal(frame.length, HEADROOM_BYTES + stream.kernel.recordBytes(slot));
  }
  t.same(layoutOf(stream.take(0)), [`normal 0+${BATCH_PAGES}`]);
  t.same(stream.take(1)[0]?.bytes, page);
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

void t.test('a frame never exceeds its limit and its records parse', (t) => {
  t.plan(2);
  const stream = new TestStream();
  for (let first = 0; stream.kernel.hasRoom(0); first += 3)
    stream.append(first, [...pagesFrom(first + 1, 2), zeros], BULK);
  t.ok(stream.kernel.recordBytes(0) <= FRAME_RECORDS_MAX_BYTES);
  t.ok(readRecords(stream.kernel.frame(0).subarray(HEADROOM_BYTES)).length > 2);
});

/** Whether the slot's frame is its input buffer, with one record header before it. */
function isDirect({ kernel }: TestStream): boolean {
  return kernel.frame(0).byteOffset + HEADROOM_BYTES + 9 === kernel.input(0).byteOffset;
}

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
