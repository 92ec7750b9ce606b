import t from 'tap';
import {
  MAX_CACHE_BYTES,
  cacheAllocatedBytes,
  cacheBytesPerStream,
  checkCacheBytes,
} from '../src/page-cache-size.ts';
import { SourceKernel } from '../src/source-kernel.ts';
import { faultOf } from './fault-of.ts';
import { SECRET } from './stream.ts';

const MiB = 1024 * 1024;

void t.test('sizes of a stream’s cache', (t) => {
  const good = [0, 4096, 8192, 64 * MiB, MAX_CACHE_BYTES];
  const bad = [
    1,
    2048,
    4095,
    4097,
    12288,
    64 * MiB + 4096,
    2 * MAX_CACHE_BYTES,
    -4096,
    4096.5,
    Number.NaN,
    Infinity,
  ];
  t.plan(good.length + bad.length + 1);
  for (const bytes of good) t.doesNotThrow(() => checkCacheBytes(bytes), `${bytes}`);
  for (const bytes of bad)
    t.same(
      faultOf(() => checkCacheBytes(bytes)),
      { code: 'cache-size', bytes },
      `${bytes}`,
    );
  const options = { secret: SECRET, eviction: 'age', slotCount: 1, headroomBytes: 0 } as const;
  t.same(
    faultOf(() => new SourceKernel({ ...options, cacheBytes: 12288 })),
    { code: 'cache-size', bytes: 12288 },
  );
});

void t.test('shares', (t) => {
  const table: [number, number, number][] = [
    [64 * MiB, 1, 64 * MiB],
    [64 * MiB, 2, 32 * MiB],
    [64 * MiB, 3, 16 * MiB],
    [4096, 1, 4096],
    [4096, 2, 0],
    [0, 1, 0],
    [2 ** 40, 4, MAX_CACHE_BYTES],
  ];
  t.plan(table.length);
  for (const [total, streams, expected] of table) t.equal(cacheBytesPerStream(total, streams), expected);
});

void t.test('what a cache takes in memory', (t) => {
  t.plan(2);
  t.equal(cacheAllocatedBytes(0), 0);
  t.equal(cacheAllocatedBytes(64 * MiB), 64 * MiB + (64 * MiB * 24) / 4096);
});
