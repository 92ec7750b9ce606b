// What the cache learns, keeps, hits and forgets, seen from the records and counters alone.
import t from 'tap';
import { PAGE_SIZE } from '../src/constants.ts';
import type { Batch } from '../src/source-kernel.ts';
import { faultOf } from './fault-of.ts';
import { TestStream } from './stream.ts';
import { edited, randomPage } from './vectors.ts';

const zeros = randomPage(0);
const page = randomPage(1);
const changed = edited(page, [[10, 4]]);
const changedAgain = edited(changed, [[2000, 4]]);
const overflowing = randomPage(2);

/** Sends one page; the kind of its record. */
function kindOf(stream: TestStream, index: number, content: Uint8Array, batch: Partial<Batch> = {}): string {
  return stream.send(index, [content], batch)[0]?.kind ?? 'nothing';
}

void t.test('a page is learned when first sent after the bulk stage, and a delta from then on', (t) => {
  t.plan(5);
  const stream = new TestStream();
  t.equal(kindOf(stream, 3, page), 'normal');
  t.equal(kindOf(stream, 3, page), 'nothing');
  t.equal(kindOf(stream, 3, changed), 'xbzrle');
  t.equal(kindOf(stream, 3, changedAgain), 'xbzrle');
  t.same(stream.kernel.counters(), {
    normal: 1,
    zero: 0,
    unchanged: 1,
    xbzrlePages: 2,
    xbzrleBytes: 2 * 11 + 6 + 7,
    cacheMiss: 1,
    overflow: 0,
    insertRefused: 0,
  });
});

void t.test('the seed rule: the bulk stage neither looks up nor learns', (t) => {
  t.plan(7);
  const stream = new TestStream();
  t.equal(kindOf(stream, 3, page, { useXbzrle: false }), 'normal');
  t.equal(stream.kernel.counters().cacheMiss, 0);
  t.equal(kindOf(stream, 3, changed), 'normal', 'the second time is a miss');
  t.equal(kindOf(stream, 3, changedAgain), 'xbzrle', 'the third is the first delta');
  t.equal(kindOf(stream, 4, zeros, { useXbzrle: false }), 'zero');
  t.equal(kindOf(stream, 4, edited(zeros, [[9, 1]])), 'normal', 'zero pages are not learned either');
  stream.appendZeros(5, 1, { useXbzrle: false });
  stream.take();
  t.equal(kindOf(stream, 5, edited(zeros, [[9, 1]])), 'normal', 'nor are holes');
});

void t.test('without a cache every page is raw and none is missed', (t) => {
  t.plan(4);
  const stream = new TestStream({ cacheBytes: 0 });
  t.equal(kindOf(stream, 3, page), 'normal');
  t.equal(kindOf(stream, 3, changed), 'normal');
  t.equal(stream.kernel.counters().cacheMiss, 0);
  t.equal(stream.kernel.cacheAllocatedBytes, 0);
});

void t.test('the age rule: a page is protected for two generations after its last use', (t) => {
  t.plan(8);
  const stream = new TestStream();
  const [mine, other] = [3, 3 + 16];
  kindOf(stream, mine, page, { generation: 1 });
  t.equal(kindOf(stream, other, page, { generation: 2 }), 'normal');
  t.equal(stream.kernel.counters().insertRefused, 1);
  t.equal(kindOf(stream, mine, changed, { generation: 4 }), 'xbzrle', 'a hit, which makes it young again');
  kindOf(stream, other, changed, { generation: 5 });
  t.equal(stream.kernel.counters().insertRefused, 2, '4 + 2 > 5');
  kindOf(stream, other, changedAgain, { generation: 6 });
  t.equal(stream.kernel.counters().insertRefused, 2, '4 + 2 > 6 is false: taken');
  t.equal(kindOf(stream, other, page, { generation: 6 }), 'xbzrle');
  t.equal(kindOf(stream, mine, changedAgain, { generation: 6 }), 'normal', 'the old one is gone');
  t.equal(stream.kernel.counters().insertRefused, 3);
});

void t.test('newest: the newest page always evicts', (t) => {
  t.plan(4);
  const stream = new TestStream({ eviction: 'newest' });
  const [mine, other] = [3, 3 + 16];
  kindOf(stream, mine, page);
  t.equal(kindOf(stream, other, page), 'normal');
  t.equal(kindOf(stream, other, changed), 'xbzrle');
  t.equal(kindOf(stream, mine, changed), 'normal');
  t.equal(stream.kernel.counters().insertRefused, 0);
});

void t.test('a stale base is a miss, whatever path made it stale, and is replaced', (t) => {
  t.plan(6);
  const stream = new TestStream();
  kindOf(stream, 3, page);
  t.equal(kindOf(stream, 3, changed, { useXbzrle: false }), 'normal', 'sent behind the cache’s back');
  t.equal(kindOf(stream, 3, changedAgain), 'normal');
  t.equal(stream.kernel.counters().cacheMiss, 2);
  t.equal(kindOf(stream, 3, page), 'xbzrle', 'replaced by what was sent');
  stream.table.delete(3);
  t.equal(kindOf(stream, 3, changed), 'normal', 'unknown at the destination');
  stream.table.set(3, stream.table.get(99) ?? new Uint8Array(16).fill(7));
  t.equal(kindOf(stream, 3, page), 'normal', 'something else at the destination');
});

void t.test('zero pages are learned: in the place of an older copy, and as a base', (t) => {
  t.plan(6);
  const stream = new TestStream();
  kindOf(stream, 3, page);
  t.equal(kindOf(stream, 3, zeros), 'zero');
  const [record] = stream.send(3, [edited(zeros, [[9, 1]])]);
  t.equal(record?.kind, 'xbzrle');
  t.equal(Buffer.from(record?.bytes ?? []).toString('hex'), '09015a', 'against zeros, not the old copy');
  stream.appendZeros(5, 2);
  stream.take();
  t.equal(kindOf(stream, 6, edited(zeros, [[9, 1]])), 'xbzrle', 'a hole too');
  kindOf(stream, 3 + 16, zeros);
  t.equal(stream.kernel.counters().insertRefused, 1, 'under the same age rule');
  t.equal(stream.kernel.counters().zero, 4);
});

void t.test('overflow: counted, sent raw, and learned', (t) => {
  t.plan(4);
  const stream = new TestStream();
  kindOf(stream, 3, page);
  const [record] = stream.send(3, [overflowing]);
  t.equal(record?.kind, 'normal');
  t.same(record?.bytes, overflowing);
  t.equal(kindOf(stream, 3, edited(overflowing, [[5, 5]])), 'xbzrle');
  t.match(stream.kernel.counters(), { overflow: 1, normal: 2, cacheMiss: 1, xbzrlePages: 1 });
});

void t.test('the last round: deltas go out, but nothing is learned', (t) => {
  const last = { fillCache: false } as const;
  const almostZero = edited(zeros, [[9, 1]]);
  t.plan(12);
  const stream = new TestStream();
  kindOf(stream, 3, page);
  kindOf(stream, 5, page);
  kindOf(stream, 7, page);
  t.equal(kindOf(stream, 3, changed, last), 'xbzrle');
  t.equal(kindOf(stream, 3, changedAgain, last), 'normal', 'its base is stale now');
  t.equal(kindOf(stream, 4, page, last), 'normal');
  t.equal(kindOf(stream, 4, changed, last), 'normal', 'a miss was not learned');
  t.equal(kindOf(stream, 5, overflowing, last), 'normal');
  t.equal(kindOf(stream, 5, edited(overflowing, [[5, 5]]), last), 'normal', 'nor an overflow');
  t.equal(kindOf(stream, 7, zeros, last), 'zero');
  t.equal(kindOf(stream, 7, almostZero, last), 'normal', 'nor a zero page');
  t.equal(stream.appendZeros(8, 1, last), 1);
  stream.take();
  t.equal(kindOf(stream, 8, almostZero, last), 'normal', 'nor a hole');
  kindOf(stream, 10, page, { generation: 1 });
  kindOf(stream, 10, changed, { generation: 4, ...last });
  const refused = stream.kernel.counters().insertRefused;
  kindOf(stream, 10 + 16, page, { generation: 5 });
  t.equal(stream.kernel.counters().insertRefused, refused + 1, 'a hit still makes its page young');
  t.equal(kindOf(stream, 10, changedAgain, { generation: 5 }), 'normal', 'but is not its base');
});

void t.test('a dropped cache knows nothing', (t) => {
  t.plan(2);
  const stream = new TestStream();
  kindOf(stream, 3, page);
  stream.kernel.dropCache();
  t.equal(kindOf(stream, 3, changed), 'normal');
  t.equal(kindOf(stream, 3, changedAgain), 'xbzrle');
});

void t.test('resize: survivors stay hits, the younger of two, counters go on', (t) => {
  t.plan(9);
  const stream = new TestStream();
  for (let index = 0; index < 16; index++) kindOf(stream, index, page, { generation: index < 8 ? 5 : 4 });
  const before = stream.kernel.counters();
  stream.kernel = stream.kernel.resized(8 * PAGE_SIZE);
  t.same(stream.kernel.counters(), before);
  t.equal(stream.kernel.cacheAllocatedBytes, 8 * (PAGE_SIZE + 24));
  t.equal(kindOf(stream, 1, changed, { generation: 6 }), 'xbzrle', 'the younger stayed');
  t.equal(kindOf(stream, 9, changed, { generation: 6 }), 'normal', 'the older went');

  stream.kernel = stream.kernel.resized(64 * PAGE_SIZE);
  t.equal(kindOf(stream, 1, changedAgain, { generation: 6 }), 'xbzrle', 'growing keeps all');
  t.equal(kindOf(stream, 7, changed, { generation: 6 }), 'xbzrle');
  kindOf(stream, 7 + 32, page, { generation: 6 });
  t.equal(kindOf(stream, 7, changedAgain, { generation: 6 }), 'xbzrle', 'and is larger indeed');

  stream.kernel = stream.kernel.resized(0).resized(16 * PAGE_SIZE);
  t.equal(kindOf(stream, 7, page, { generation: 6 }), 'normal', 'through none, all is forgotten');
  t.match(
    faultOf(() => stream.kernel.resized(3 * PAGE_SIZE)),
    { code: 'cache-size' },
  );
});
