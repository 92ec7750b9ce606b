import * as fc from 'fast-check';
import t from 'tap';
import { Shard } from '../src/shard.ts';

const EXTENT_PAGES = 512;

function shardsOf(pageCount: number, streamCount: number): Shard[] {
  return Array.from({ length: streamCount }, (_, stream) => new Shard({ pageCount, stream, streamCount }));
}

void t.test('local indexes and block indexes are a bijection for any size and 1 to 5 streams', (t) => {
  t.plan(1);
  const property = fc.property(
    fc.integer({ min: 1, max: 6000 }),
    fc.integer({ min: 1, max: 5 }),
    (pages, streams) => {
      const owners = new Uint8Array(pages);
      for (const shard of shardsOf(pages, streams)) {
        for (let localPage = 0; localPage < shard.localPageLimit; localPage += 1) {
          const page = shard.toBlockPage(localPage);
          if (page >= pages) return false;
          if (Math.floor(page / EXTENT_PAGES) % streams !== shard.stream) return false;
          owners[page] = (owners[page] ?? 0) + 1;
        }
      }
      return owners.every((count) => count === 1);
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 60, interruptAfterTimeLimit: 3000 }));
});

void t.test('chunks and pieces say what toBlockPage says', (t) => {
  t.plan(1);
  const property = fc.property(
    fc.integer({ min: 1, max: 6000 }),
    fc.integer({ min: 1, max: 5 }),
    fc.nat(),
    fc.nat(),
    (pages, streams, a, b) => {
      for (const shard of shardsOf(pages, streams)) {
        const first = a % (shard.localPageLimit + 1);
        const count = b % (shard.localPageLimit - first + 1);
        const named: number[] = [];
        for (const piece of shard.pieces(first, count)) {
          const lastPage = piece.firstPage + piece.pageCount - 1;
          if (Math.floor(piece.firstPage / EXTENT_PAGES) !== Math.floor(lastPage / EXTENT_PAGES))
            return false;
          for (let page = piece.firstPage; page <= lastPage; page += 1) named.push(page);
        }
        if (named.length !== count) return false;
        if (!named.every((page, index) => page === shard.toBlockPage(first + index))) return false;
        let localPage = 0;
        for (const chunk of shard.chunks()) {
          if (chunk.firstLocalPage !== localPage || chunk.firstPage !== shard.toBlockPage(localPage))
            return false;
          if (chunk.chunk !== Math.floor(chunk.firstPage / EXTENT_PAGES)) return false;
          localPage += chunk.pageCount;
        }
        if (localPage !== shard.localPageLimit) return false;
      }
      return true;
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 100, interruptAfterTimeLimit: 3000 }));
});

void t.test('the last page of the largest block', (t) => {
  t.plan(2);
  const [, second, third] = shardsOf(2 ** 32, 3);
  t.equal(second?.toBlockPage(2_796_202 * EXTENT_PAGES + 511), 2 ** 32 - 1);
  t.equal(third?.toBlockPage(2_796_201 * EXTENT_PAGES), 8_388_605 * EXTENT_PAGES);
});

void t.test('more streams than chunks leave streams without pages', (t) => {
  t.plan(4);
  const [first, second] = shardsOf(100, 2);
  t.equal(first?.localPageLimit, 100);
  t.equal(second?.localPageLimit, 0);
  t.same([...(second?.chunks() ?? [])], []);
  t.same([...(second?.spreadChunks(3) ?? [])], []);
});

void t.test("another stream's chunk and runs outside the shard are refused", (t) => {
  const shard = new Shard({ pageCount: 2000, stream: 1, streamCount: 2 });
  const runs: readonly (readonly [firstLocalPage: number, pageCount: number])[] = [
    [976, 1],
    [975, 2],
    [-1, 1],
    [0, 2 ** 32 - 1],
    [2 ** 32 - 1, 0],
    [Number.NaN, 1],
  ];
  t.plan(runs.length + 3);
  t.throws(() => shard.chunkAt(0));
  t.throws(() => shard.chunkAt(5));
  t.equal(shard.localPageLimit, 976);
  for (const [first, count] of runs) {
    t.throws(() => shard.pieces(first, count), {
      name: 'MemoryError',
      fault: { code: 'outside-shard', localPageLimit: 976 },
    });
  }
});

void t.test('chunks spread over the shard', (t) => {
  const shard = new Shard({ pageCount: 20 * EXTENT_PAGES - 1, stream: 1, streamCount: 2 });
  const spread = (count: number): number[] => [...shard.spreadChunks(count)].map(({ chunk }) => chunk);
  t.same(spread(1), [1]);
  t.same(spread(3), [1, 7, 13]);
  t.same(spread(10), [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
  t.same(spread(11), spread(10));
  t.equal([...shard.spreadChunks(10)].at(-1)?.pageCount, EXTENT_PAGES - 1);
  t.end();
});
