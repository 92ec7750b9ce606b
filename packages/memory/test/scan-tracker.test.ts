import t from 'tap';
import { DIGEST_BYTES } from '@pageferry/xbzrle';
import { DigestTable } from '../src/digest-table.ts';
import { ImageReader } from '../src/image-reader.ts';
import { ImageWriter } from '../src/image-writer.ts';
import { ScanTracker } from '../src/scan-tracker.ts';
import { Shard } from '../src/shard.ts';
import type { DirtyTracker } from '../src/tracker.ts';
import { fileCalls } from './file-calls.ts';
import { dataPage, makeImage, range } from './image-folder.ts';

const PAGES = 2000;
const zeroDigest = new Uint8Array(DIGEST_BYTES).fill(9);

function runs(tracker: DirtyTracker, round: number): string[] {
  return [...tracker.candidates({ round, scope: 'everything' })].map(
    ({ kind, firstPage, firstLocalPage, pageCount }) => `${kind} ${firstPage}/${firstLocalPage} ${pageCount}`,
  );
}

void t.test('every page is named, in runs of one chunk, data in batches', (t) => {
  t.plan(3);
  const image = makeImage(t, { pageCount: PAGES, dataPages: range(100, 800) });
  const trackers = [0, 1].map((stream) => {
    const table = new DigestTable({ pageCount: PAGES, zeroDigest });
    const reader = new ImageReader({ image, calls: fileCalls });
    return new ScanTracker({ reader, table, shard: new Shard({ pageCount: PAGES, stream, streamCount: 2 }) });
  });
  t.same(
    trackers.map((tracker) => runs(tracker, 0)),
    [
      ['hole 0/0 100', 'data 100/100 256', 'data 356/356 156', 'hole 1024/512 512'],
      ['data 512/0 256', 'data 768/256 32', 'hole 800/288 224', 'hole 1536/512 464'],
    ],
  );
  t.same(
    trackers.map((tracker) => tracker.name),
    ['scan', 'scan'],
  );
  const [first] = trackers;
  t.same(first && runs(first, 1), first && runs(first, 0), 'a later round names them again');
});

void t.test(
  'a hole is left out only if its whole extent is known to be zero; new data in it is found',
  (t) => {
    t.plan(5);
    const image = makeImage(t, { pageCount: PAGES, dataPages: range(100, 800) });
    const table = new DigestTable({ pageCount: PAGES, zeroDigest });
    const reader = new ImageReader({ image, calls: fileCalls });
    const tracker = new ScanTracker({
      reader,
      table,
      shard: new Shard({ pageCount: PAGES, stream: 0, streamCount: 1 }),
    });
    const named = runs(tracker, 0);
    t.same(named.slice(-3), ['hole 800/800 224', 'hole 1024/1024 512', 'hole 1536/1536 464']);
    table.storeZeroExtent(2);
    t.same(runs(tracker, 1).slice(-2), ['hole 800/800 224', 'hole 1536/1536 464']);
    table.storeZeroExtent(3);
    t.same(runs(tracker, 1).slice(-1), ['hole 800/800 224']);
    const writer = new ImageWriter({ image, calls: fileCalls });
    writer.write(1999, dataPage(1999));
    t.same(runs(tracker, 2).slice(-2), ['hole 800/800 224', 'data 1999/1999 1']);
    writer.zero(100, 700);
    t.same(
      runs(tracker, 3).slice(0, 2),
      ['hole 0/0 512', 'hole 512/512 512'],
      'freed pages are named as a hole',
    );
  },
);

void t.test('what was one hole is looked up anew each round', (t) => {
  t.plan(2);
  const image = makeImage(t, { pageCount: 512, dataPages: [] });
  const table = new DigestTable({ pageCount: 512, zeroDigest });
  const reader = new ImageReader({ image, calls: fileCalls });
  const shard = new Shard({ pageCount: 512, stream: 0, streamCount: 1 });
  const tracker = new ScanTracker({ reader, table, shard });
  t.same(runs(tracker, 0), ['hole 0/0 512']);
  table.storeZeroExtent(0);
  new ImageWriter({ image, calls: fileCalls }).write(300, dataPage(300));
  t.same(runs(tracker, 1), ['data 300/300 16']);
});
