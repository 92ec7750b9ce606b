import { rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { EXTENT_PAGES, PAGE_SIZE } from '@pageferry/xbzrle';
import type { Image } from '../src/image-file.ts';
import { ImageReader } from '../src/image-reader.ts';
import { ScanTracker } from '../src/scan-tracker.ts';
import { Shard } from '../src/shard.ts';
import { MERGED_GAP_PAGES, SoftDirtyTracker } from '../src/soft-dirty-tracker.ts';
import type { RoundScope } from '../src/tracker.ts';
import { findWriters } from '../src/writers.ts';
import { digestTableOf } from './digested.ts';
import { fileCalls } from './file-calls.ts';
import { makeFolder, makeImage, range, type Teardown } from './image-folder.ts';
import { PRESENT, PRESENT_WRITTEN, SWAPPED_WRITTEN, setEntries, writeProcess } from './proc-folder.ts';

const PAGES = 1300;
const ADDRESS = 0x7f0000000;
const OTHER = 0x7e0000000;
const WHOLE = { address: ADDRESS, firstPage: 0, pageCount: PAGES };

interface Setting {
  readonly image: Image;
  readonly proc: string;
  readonly tracker: SoftDirtyTracker;
  readonly scan: ScanTracker;
  track(): Promise<void>;
}

function setUp(t: Teardown, { stream = 0, streamCount = 1, dataPages = range(0, PAGES) } = {}): Setting {
  const image = makeImage(t, { pageCount: PAGES, dataPages });
  const proc = makeFolder(t);
  const shard = new Shard({ pageCount: PAGES, stream, streamCount });
  const reader = new ImageReader({ image, calls: fileCalls });
  const scan = new ScanTracker({ reader, shard, table: digestTableOf(image, PAGES) });
  const tracker = new SoftDirtyTracker({ scan, shard, proc });
  t.teardown(() => tracker.close());
  const track = async (): Promise<void> => {
    const { images } = await findWriters([image], { proc });
    tracker.track({ file: image, writers: images[0] ?? [] });
  };
  return { image, proc, tracker, scan, track };
}

function runs({ tracker }: Pick<Setting, 'tracker'>, scope: RoundScope, round = 1): string[] {
  return [...tracker.candidates({ round, scope })].map(
    ({ kind, firstPage, firstLocalPage, pageCount }) => `${kind} ${firstPage}/${firstLocalPage} ${pageCount}`,
  );
}

function everything({ scan }: Setting): string[] {
  return [...scan.candidates({ round: 1, scope: 'everything' })].map(
    ({ kind, firstPage, firstLocalPage, pageCount }) => `${kind} ${firstPage}/${firstLocalPage} ${pageCount}`,
  );
}

void t.test(
  'written pages are named, near ones as one run, and everything where everything is asked for',
  async (t) => {
    const setting = setUp(t);
    const { proc, image, tracker } = setting;
    writeProcess(proc, 12, image, { ranges: [WHOLE] });
    await setting.track();
    t.same(runs(setting, 'written'), []);
    t.same(runs(setting, 'everything', 0), everything(setting));
    t.equal(tracker.doubt, undefined);
    const written = [3, 4, 4 + MERGED_GAP_PAGES + 1, 100, 100 + MERGED_GAP_PAGES + 2, 511, 512, 1299];
    for (const page of written) setEntries(proc, 12, ADDRESS + page * PAGE_SIZE, 1, PRESENT_WRITTEN);
    t.same(runs(setting, 'written'), [
      `data 3/3 ${MERGED_GAP_PAGES + 3}`,
      'data 100/100 1',
      `data ${100 + MERGED_GAP_PAGES + 2}/${100 + MERGED_GAP_PAGES + 2} 1`,
      'data 511/511 1',
      'data 512/512 1',
      'data 1299/1299 1',
    ]);
    t.same(runs(setting, 'written').length, 6, 'a bit stays');
    setEntries(proc, 12, ADDRESS, PAGES, PRESENT_WRITTEN);
    t.same(runs(setting, 'written'), everything(setting), 'in batches, chunk by chunk');
    t.equal(tracker.doubt, undefined);
  },
);

void t.test('a stream reads its own chunks, wherever in memory they are', async (t) => {
  const setting = setUp(t, { stream: 1, streamCount: 2 });
  const { proc, image } = setting;
  // The second mapping begins in the middle of the block.
  writeProcess(proc, 12, image, { ranges: [{ address: OTHER, firstPage: 700, pageCount: 600 }] });
  writeProcess(proc, 13, image, { ranges: [{ ...WHOLE, pageCount: 800 }] });
  await setting.track();
  for (const page of [0, 600, 1100]) setEntries(proc, 12, OTHER + page * PAGE_SIZE, 1, PRESENT_WRITTEN);
  for (const page of [1, 513, 701, 799]) setEntries(proc, 13, ADDRESS + page * PAGE_SIZE, 1, PRESENT_WRITTEN);
  t.same(runs(setting, 'written'), ['data 513/1 1', 'data 700/188 2', 'data 799/287 1']);
});

void t.test('both of two processes, and both mappings of one, count', async (t) => {
  const setting = setUp(t);
  const { proc, image } = setting;
  const twice = [{ ...WHOLE, address: OTHER }, WHOLE];
  writeProcess(proc, 12, image, { ranges: twice });
  writeProcess(proc, 13, image, { ranges: [WHOLE] });
  writeProcess(proc, 14, image, { ranges: [{ ...WHOLE, permissions: 'rw-p' }] });
  writeProcess(proc, 15, image, { ranges: [{ ...WHOLE, permissions: 'r--s' }] });
  await setting.track();
  setEntries(proc, 12, OTHER, 1, PRESENT_WRITTEN);
  setEntries(proc, 12, ADDRESS + 50 * PAGE_SIZE, 1, PRESENT_WRITTEN);
  setEntries(proc, 13, ADDRESS + 90 * PAGE_SIZE, 1, SWAPPED_WRITTEN);
  for (const pid of [14, 15]) setEntries(proc, pid, ADDRESS + 200 * PAGE_SIZE, 9, PRESENT_WRITTEN);
  t.same(runs(setting, 'written'), ['data 0/0 1', 'data 50/50 1', 'data 90/90 1']);
});

void t.test('a page without a mapping has lost its bit: its chunk is named where that counts', async (t) => {
  const setting = setUp(t, { dataPages: range(0, 600) });
  const { proc, image } = setting;
  writeProcess(proc, 12, image, { ranges: [WHOLE] });
  await setting.track();
  setEntries(proc, 12, ADDRESS + 40 * PAGE_SIZE, 1, 0n);
  setEntries(proc, 12, ADDRESS + 520 * PAGE_SIZE, 1, PRESENT_WRITTEN);
  t.same(runs(setting, 'written'), ['data 520/520 1']);
  t.same(runs(setting, 'written-or-unmapped'), ['data 0/0 256', 'data 256/256 256', 'data 520/520 1']);
  setEntries(proc, 12, ADDRESS, PAGES, PRESENT);
  t.same(runs(setting, 'written-or-unmapped'), []);
  setEntries(proc, 12, ADDRESS + EXTENT_PAGES * 2 * PAGE_SIZE, 200, 0n);
  t.same(runs(setting, 'written-or-unmapped'), ['hole 1024/1024 276'], 'as the scan names holes');
});

void t.test('bits that may be of something else do not count: everything is named, and why', async (t) => {
  const changes: readonly (readonly [what: string, (setting: Setting) => void, RegExp])[] = [
    ['ended', ({ proc }) => rmSync(join(proc, '12'), { recursive: true }), /process 12 has ended/],
    [
      'another process with that pid',
      ({ proc, image }) => writeProcess(proc, 12, image, { ranges: [WHOLE], startTime: 5 }),
      /process 12 has ended/,
    ],
    [
      'not mapped any more',
      ({ proc, image }) => writeProcess(proc, 12, image),
      /process 12 maps .* otherwise than before/,
    ],
    [
      'mapped elsewhere',
      ({ proc, image }) => writeProcess(proc, 12, image, { ranges: [{ ...WHOLE, address: OTHER }] }),
      /otherwise than before/,
    ],
    [
      'not to be looked into any more',
      ({ proc }) => rmSync(join(proc, '12', 'maps')),
      /cannot be read any more/,
    ],
    [
      'the memory is gone after the first chunk',
      ({ proc }) => truncateSync(join(proc, '12', 'pagemap'), (ADDRESS / PAGE_SIZE + 600) * 8),
      /the memory of process 12 is gone/,
    ],
  ];
  t.plan(changes.length * 3 + 2);
  for (const [what, change, because] of changes) {
    const setting = setUp(t);
    writeProcess(setting.proc, 12, setting.image, { ranges: [WHOLE] });
    await setting.track();
    t.same(runs(setting, 'written'), [], what);
    change(setting);
    t.same(runs(setting, 'written'), everything(setting), what);
    t.match(setting.tracker.doubt, because, what);
  }
  const nobody = setUp(t);
  await nobody.track();
  t.same(runs(nobody, 'written-or-unmapped'), everything(nobody));
  t.match(nobody.tracker.doubt, /no process whose bits can be read/);
});
