import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readSoftDirtyFacts } from '../src/soft-dirty-facts.ts';
import { makeFolder, makeImage } from './image-folder.ts';
import { PLAIN_SMAPS, writeProcess } from './proc-folder.ts';

const RANGE = { address: 0x7f0000000, firstPage: 0, pageCount: 4 };
const VMSTAT = 'nr_free_pages 5\npswpin 1\npswpout 7\nthp_split_page 2\nthp_split_pmd 3\nthp_zero 4\n';

function makeProc(t: Parameters<typeof makeFolder>[0]): string {
  const proc = makeFolder(t);
  writeFileSync(join(proc, 'meminfo'), 'MemTotal:  100 kB\nSwapTotal:      2048 kB\nSwapFree: 5 kB\n');
  writeFileSync(join(proc, 'vmstat'), VMSTAT);
  return proc;
}

void t.test('everything that is asked for', async (t) => {
  t.plan(4);
  const proc = makeProc(t);
  const image = makeImage(t, { pageCount: 4, dataPages: [] });
  const huge = PLAIN_SMAPS.replace('ShmemPmdMapped:        0', 'ShmemPmdMapped:     2048')
    .replace('THPeligible:           0', 'THPeligible:           1')
    .replace('VmFlags: rd', 'VmFlags: rd lo dc');
  writeProcess(proc, 20, image, {
    ranges: [RANGE, { ...RANGE, address: 0x7e0000000 }],
  });
  writeProcess(proc, 21, image, { ranges: [RANGE], smaps: huge });
  writeProcess(proc, 22, image);
  const options = { proc, fileSystemType: () => 99 };
  const facts = await readSoftDirtyFacts([image], [{ isTouched: true }], options);
  const [found] = facts.images;
  t.same(
    found?.writers.map(({ pid }) => pid),
    [20, 21],
  );
  t.match(facts, {
    images: [
      {
        path: image.path,
        identity: `${image.device}:${image.inode}`,
        fileSystemType: 99,
        mappings: [
          { pid: 20, isLocked: false, isKeptFromForks: false, hugeBytes: 0, isHugeEligible: false },
          { pid: 21, isLocked: true, isKeptFromForks: true, hugeBytes: 2 ** 21, isHugeEligible: true },
        ],
        isTouched: true,
      },
    ],
    unreadableCount: 0,
    swapBytes: 2 ** 21,
    counters: { pswpout: 7, thp_split_page: 2, thp_split_pmd: 3 },
  });
  const old = PLAIN_SMAPS.replace(/THPeligible.*\n/, '');
  writeProcess(proc, 21, image, { ranges: [RANGE], smaps: old });
  rmSync(join(proc, '20', 'smaps'));
  rmSync(join(proc, '22', 'maps'));
  mkdirSync(join(proc, '22', 'maps'));
  const less = await readSoftDirtyFacts([image], [{ isTouched: true }], options);
  t.same(less.images[0]?.mappings, [
    { pid: 21, isLocked: false, isKeptFromForks: false, hugeBytes: 0, isHugeEligible: undefined },
  ]);
  t.equal(less.unreadableCount, 1);
});

void t.test('the real /proc', async (t) => {
  t.plan(3);
  const image = makeImage(t, { pageCount: 4, dataPages: [] });
  const facts = await readSoftDirtyFacts([image], []);
  t.equal(facts.images[0]?.isTouched, undefined, 'nobody watches it');
  t.ok(Number.isSafeInteger(facts.counters['pswpout']));
  t.ok(Number.isSafeInteger(facts.swapBytes));
});
