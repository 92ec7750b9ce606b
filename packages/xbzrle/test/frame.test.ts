// The frame of a slot: layout of its records, room, and the batch that becomes the frame where it lies.
import t from 'tap';
import { BATCH_PAGES, DIRECT_MIN_PAGES, FRAME_RECORDS_MAX_BYTES, PAGE_SIZE } from '../src/constants.ts';
import { layoutOf, readRecords } from './records.ts';
import { HEADROOM_BYTES, TestStream } from './stream.ts';
import { edited, randomPage, randomPages } from './vectors.ts';

const BULK = { useXbzrle: false } as const;
const zeros = randomPage(0);

void t.test('records of a kind merge into runs, across batches too', (t) => {
  t.plan(3);
  const stream = new TestStream();
  const [a = zeros, b = zeros, c = zeros, d = zeros] = randomPages(1, 4);
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
  const pages = randomPages(1, 3);
  stream.send(1, pages.slice(1, 2), BULK);
  t.same(layoutOf(stream.send(0, pages, BULK)), ['normal 0+1', 'normal 2+1']);
});

void t.test('a delta between raw pages stands in page order', (t) => {
  t.plan(3);
  const stream = new TestStream();
  const pages = randomPages(1, 4);
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

void t.test('a delta behind a run that goes on from the batch before', (t) => {
  t.plan(3);
  const stream = new TestStream();
  const [a = zeros, b = zeros, c = zeros] = randomPages(1, 3);
  stream.send(2, [c]);
  stream.append(0, [a]);
  stream.append(1, [b, edited(c, [[5, 1]])]);
  const records = stream.take();
  t.same(layoutOf(records), ['normal 0+2', 'xbzrle 2+1']);
  t.same(records[0]?.bytes, Uint8Array.from([...a, ...b]));
  t.same(records[1]?.bytes, Uint8Array.of(5, 1, (c[5] ?? 0) ^ 0x5a));
});

void t.test(
  'a whole raw batch becomes the frame without a copy, with the same bytes as a copied one',
  (t) => {
    t.plan(8);
    const pages = randomPages(1, BATCH_PAGES);
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
  t.plan(7);
  const few = new TestStream();
  few.append(0, randomPages(1, DIRECT_MIN_PAGES - 1), BULK);
  t.notOk(isDirect(few), 'few pages');
  const enough = new TestStream();
  enough.append(0, randomPages(1, DIRECT_MIN_PAGES), BULK);
  t.ok(isDirect(enough), 'enough');
  const withZero = new TestStream();
  withZero.append(0, [...randomPages(1, DIRECT_MIN_PAGES), zeros], BULK);
  t.notOk(isDirect(withZero), 'a zero page at the end');
  const withUnchanged = new TestStream();
  const pages = randomPages(1, DIRECT_MIN_PAGES + 1);
  withUnchanged.send(0, pages.slice(0, 1), BULK);
  withUnchanged.append(0, pages, BULK);
  t.notOk(isDirect(withUnchanged), 'an unchanged page at the front');
  t.same(layoutOf(withUnchanged.take()), [`normal 1+${DIRECT_MIN_PAGES}`]);
  const notEmpty = new TestStream();
  notEmpty.append(0, [zeros], BULK);
  notEmpty.append(1, randomPages(1, DIRECT_MIN_PAGES), BULK);
  t.notOk(isDirect(notEmpty), 'a frame with records');
  t.same(layoutOf(notEmpty.take()), ['zero 0+1', `normal 1+${DIRECT_MIN_PAGES}`]);
});

void t.test('room: the worst batch fits whenever there is room, and is refused otherwise', (t) => {
  t.plan(7);
  const stream = new TestStream({ cacheBytes: 512 * PAGE_SIZE, eviction: 'newest' });
  // Deltas of the greatest length: all but the last three bytes of a page.
  const old = randomPages(1, BATCH_PAGES);
  stream.send(0, old);
  stream.append(300, randomPages(1000, 15), BULK);
  t.ok(stream.kernel.hasRoom(0));
  stream.append(
    0,
    old.map((page) => edited(page, [[0, 4093]])),
  );
  t.ok(stream.kernel.recordBytes(0) <= FRAME_RECORDS_MAX_BYTES);
  const layout = layoutOf(stream.take());
  t.equal(layout.filter((line) => line.startsWith('xbzrle')).length, BATCH_PAGES);

  stream.append(300, randomPages(2000, 16), BULK);
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
  const many = randomPages(1, BATCH_PAGES);
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

void t.test('a frame never exceeds its limit and its records parse', (t) => {
  t.plan(2);
  const stream = new TestStream();
  for (let first = 0; stream.kernel.hasRoom(0); first += 3)
    stream.append(first, [...randomPages(first + 1, 2), zeros], BULK);
  t.ok(stream.kernel.recordBytes(0) <= FRAME_RECORDS_MAX_BYTES);
  t.ok(readRecords(stream.kernel.frame(0).subarray(HEADROOM_BYTES)).length > 2);
});

/** Whether the slot's frame is its input buffer, with one record header before it. */
function isDirect({ kernel }: TestStream): boolean {
  return kernel.frame(0).byteOffset + HEADROOM_BYTES + 9 === kernel.input(0).byteOffset;
}
