import t from 'tap';
import { BATCH_PAGES } from '@pageferry/xbzrle';
import { ImageMapping } from '../src/image-mapping.ts';
import { ImageReader } from '../src/image-reader.ts';
import { MappedTracker } from '../src/mapped-tracker.ts';
import { ScanTracker } from '../src/scan-tracker.ts';
import { Shard } from '../src/shard.ts';
import type { DirtyTracker } from '../src/tracker.ts';
import { writePages } from '../src/page-io.ts';
import { digestTableOf, SECRET } from './digested.ts';
import { fileCalls, mappingCalls } from './file-calls.ts';
import { dataPage, makeImage, range } from './image-folder.ts';

const PAGES = 1300;

function runs(tracker: DirtyTracker, round: number): string[] {
  return [...tracker.candidates({ round, scope: 'everything' })].map(
    ({ kind, firstPage, firstLocalPage, pageCount }) => `${kind} ${firstPage}/${firstLocalPage} ${pageCount}`,
  );
}

void t.test('the same pages as the scan names, in the same order; only what changed is data', (t) => {
  t.plan(5);
  const image = makeImage(t, { pageCount: PAGES, dataPages: range(100, PAGES) });
  const table = digestTableOf(image, PAGES);
  const reader = new ImageReader({ image, calls: fileCalls });
  const mapping = new ImageMapping({ image, calls: mappingCalls, secret: SECRET });
  const shard = new Shard({ pageCount: PAGES, stream: 0, streamCount: 2 });
  const scan = new ScanTracker({ reader, table, shard });
  const tracker = new MappedTracker({ tracker: scan, mapping, table });
  t.equal(tracker.name, 'scan');
  t.same(runs(tracker, 0), runs(scan, 0), 'in the bulk stage, everything');
  t.same(
    runs(tracker, 1),
    ['hole 0/0 100', 'unchanged 100/100 256', 'unchanged 356/356 156'].concat([
      `unchanged 1024/512 ${BATCH_PAGES}`,
      'unchanged 1280/768 20',
    ]),
  );
  for (const page of [100, 1100, 1101]) writePages(image, page, dataPage(page + 1));
  writePages(image, 600, dataPage(0));
  const changed = ['hole 0/0 100', 'data 100/100 1', 'unchanged 101/101 255', 'unchanged 356/356 156']
    .concat(['unchanged 1024/512 76', 'data 1100/588 2', 'unchanged 1102/590 178'])
    .concat(['unchanged 1280/768 20']);
  t.same(runs(tracker, 2), changed, 'and not what another stream owns');
  t.same(runs(tracker, 3), changed, 'until the table says what they are now');
});
