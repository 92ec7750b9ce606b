import * as fc from 'fast-check';
import t from 'tap';
import { addRoots, DIGEST_BYTES, EXTENT_PAGES, ZERO_ROOT } from '@pageferry/xbzrle';
import { DigestTable } from '../src/digest-table.ts';

const zeroDigest = new Uint8Array(DIGEST_BYTES).fill(9);

function tableOf(pageCount: number): DigestTable {
  return new DigestTable({ pageCount, zeroDigest });
}

/** The first byte of each page's digest, which is all that these tests vary. */
function loaded(table: DigestTable, firstPage: number, pageCount: number): number[] {
  const target = new Uint8Array(pageCount * DIGEST_BYTES).fill(255);
  table.load(firstPage, pageCount, target);
  return Array.from({ length: pageCount }, (_, index) => {
    const digest = target.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
    const first = digest[0] ?? -1;
    return digest.every((byte) => byte === first) ? first : -1;
  });
}

function digests(values: readonly number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => Array.from({ length: DIGEST_BYTES }, () => value)));
}

void t.test('an extent is unknown, then zero, then its own, and zero again', (t) => {
  t.plan(13);
  const table = tableOf(2000);
  t.same(loaded(table, 510, 2), [0, 0]);
  t.notOk(table.isZeroExtent(0));
  table.storeZeroExtent(0);
  t.ok(table.isZeroExtent(0));
  t.notOk(table.isZeroExtent(1));
  t.same(loaded(table, 509, 3), [9, 9, 9]);
  t.same(loaded(table, 512, 1), [0]);
  table.store(510, 1, digests([7, 8]));
  t.notOk(table.isZeroExtent(0));
  t.same(loaded(table, 509, 3), [9, 7, 9], 'the others are still zero pages');
  table.store(600, 2, digests([1, 2]));
  t.same(loaded(table, 599, 4), [0, 1, 2, 0], 'the others are still unknown');
  table.storeZeroExtent(0);
  t.same(loaded(table, 509, 3), [9, 9, 9]);
  table.store(1536, 1, digests([5]));
  t.same(loaded(table, 1535 + 1, 3), [5, 0, 0], 'memory that is used again is unknown again');
  t.same(loaded(table, 600, 2), [1, 2]);
  t.same(loaded(table, 1999, 1), [0], 'the last page of a short extent');
});

void t.test('any sequence of stores is what a plain map has', (t) => {
  t.plan(1);
  const pageCount = 5 * EXTENT_PAGES - 100;
  const step = fc.record({
    page: fc.nat(pageCount - 1),
    count: fc.integer({ min: 1, max: 300 }),
    value: fc.nat(254),
    isZeroExtent: fc.boolean(),
  });
  const property = fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
    const table = tableOf(pageCount);
    const expected = new Uint8Array(pageCount);
    for (const { page, count, value, isZeroExtent } of steps) {
      const extentStart = page - (page % EXTENT_PAGES);
      const extentEnd = Math.min(extentStart + EXTENT_PAGES, pageCount);
      const end = Math.min(page + count, extentEnd);
      if (isZeroExtent) {
        table.storeZeroExtent(extentStart / EXTENT_PAGES);
        expected.fill(9, extentStart, extentEnd);
      } else {
        table.store(page, end - page, digests(Array.from({ length: end - page }, () => value)));
        expected.fill(value, page, end);
      }
    }
    for (let first = 0; first < pageCount; first += EXTENT_PAGES) {
      const end = Math.min(first + EXTENT_PAGES, pageCount);
      if (!loaded(table, first, end - first).every((value, index) => value === expected[first + index]))
        return false;
    }
    return true;
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 50, interruptAfterTimeLimit: 3000 }));
});

void t.test('roots are stored by extent and add up', (t) => {
  t.plan(5);
  const table = tableOf(3000 * EXTENT_PAGES);
  const target = new Uint8Array(DIGEST_BYTES + 1).fill(255);
  table.root(2500, target);
  t.same([...target], [...ZERO_ROOT, 255], 'none stored');
  t.same([...table.blockRoot()], [...ZERO_ROOT]);
  const roots = Array.from({ length: 40 }, (_, index) => {
    return new Uint8Array(DIGEST_BYTES).map(
      (_byte, at) => ((index * 77 + at * 31) % 256) | (index < 20 ? 0xf0 : 0),
    );
  });
  for (const [index, root] of roots.entries()) table.storeRoot(index * 75, root);
  table.root(75, target);
  t.same([...target.subarray(0, DIGEST_BYTES)], [...(roots[1] ?? [])]);
  t.same([...table.blockRoot()], [...roots.reduce(addRoots, ZERO_ROOT)]);
  const ones = tableOf(2 * EXTENT_PAGES);
  ones.storeRoot(0, new Uint8Array(DIGEST_BYTES).fill(255));
  ones.storeRoot(1, Uint8Array.of(3, ...new Uint8Array(DIGEST_BYTES - 1)));
  t.same([...ones.blockRoot()], [2, ...new Uint8Array(DIGEST_BYTES - 1)], 'mod 2^128');
});

void t.test('memory: 16 bytes a page where there is data, nearly nothing where not', (t) => {
  t.plan(6);
  const full = tableOf(64 * EXTENT_PAGES * 8);
  const digestsOfBatch = new Uint8Array(EXTENT_PAGES * DIGEST_BYTES);
  t.equal(full.allocatedBytes, 0);
  for (let page = 0; page < full.pageCount; page += EXTENT_PAGES)
    full.store(page, EXTENT_PAGES, digestsOfBatch);
  t.ok(full.allocatedBytes <= full.pageCount * 17, `${full.allocatedBytes} bytes for a full GiB`);
  const before = full.allocatedBytes;
  for (let extent = 0; extent < full.extentCount; extent += 1) full.storeZeroExtent(extent);
  for (let page = 0; page < full.pageCount; page += EXTENT_PAGES) full.store(page, 1, digestsOfBatch);
  t.equal(full.allocatedBytes, before, 'memory of extents that became zero is used again');
  const sparse = tableOf(2 ** 32);
  const last = 2 ** 32 - 1;
  t.equal(sparse.extentCount, 8_388_608);
  sparse.store(last, 1, digests([4]));
  t.same(loaded(sparse, last - 1, 2), [0, 4]);
  for (let extent = 0; extent < 2 ** 19; extent += 1) sparse.storeZeroExtent(extent);
  t.ok(sparse.allocatedBytes < 2 ** 19 * 24, `${sparse.allocatedBytes} bytes for a sparse terabyte`);
});

void t.test('runs outside the block or across extents are refused', (t) => {
  const table = tableOf(1000);
  const target = new Uint8Array(EXTENT_PAGES * DIGEST_BYTES * 2);
  t.plan(6);
  t.throws(() => table.load(999, 2, target), { name: 'MemoryError', fault: { code: 'outside-block' } });
  t.throws(() => table.store(1000, 1, target), { name: 'MemoryError', fault: { code: 'outside-block' } });
  t.throws(() => table.load(511, 2, target), /pages of one extent/);
  t.throws(() => table.store(0, 513, target), /pages of one extent/);
  t.throws(() => table.storeZeroExtent(2), /in the block/);
  t.throws(() => table.storeRoot(2, target), /in the block/);
});
