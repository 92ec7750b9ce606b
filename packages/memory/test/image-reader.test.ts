import * as fc from 'fast-check';
import { ftruncateSync, writeSync } from 'node:fs';
import t from 'tap';
import { BATCH_PAGES, PAGE_SIZE, SECRET_BYTES } from '@pageferry/xbzrle';
import { ImageMapping } from '../src/image-mapping.ts';
import { ImageReader, MINIMUM_RUN_PAGES } from '../src/image-reader.ts';
import { countingFileCalls, fileCalls, mappingCalls } from './file-calls.ts';
import { allocatedPageCount, dataPage, makeImage, range } from './image-folder.ts';

type Run = readonly [kind: 'data' | 'hole', firstPage: number, pageCount: number];

function runsOf(reader: ImageReader, firstPage: number, pageCount: number): Run[] {
  return [...reader.dataRuns(firstPage, pageCount)].map(
    (run) => [run.kind, run.firstPage, run.pageCount] as const,
  );
}

void t.test('data and holes of real files', (t) => {
  const tables: readonly (readonly [
    label: string,
    dataPages: readonly number[],
    ask: [number, number],
    runs: readonly Run[],
  ])[] = [
    ['empty', [], [0, 100], [['hole', 0, 100]]],
    ['full', range(0, 100), [0, 100], [['data', 0, 100]]],
    ['part of a full one', range(0, 100), [13, 5], [['data', 13, 5]]],
    [
      'data in the middle',
      range(40, 60),
      [0, 100],
      [
        ['hole', 0, 40],
        ['data', 40, 20],
        ['hole', 60, 40],
      ],
    ],
    ['a question inside the hole', range(40, 60), [5, 10], [['hole', 5, 10]]],
    [
      'a question across a border',
      range(40, 60),
      [30, 50],
      [
        ['hole', 30, 10],
        ['data', 40, 20],
        ['hole', 60, 20],
      ],
    ],
    [
      'one page reads on to the minimum',
      [10],
      [0, 100],
      [
        ['hole', 0, 10],
        ['data', 10, MINIMUM_RUN_PAGES],
        ['hole', 26, 74],
      ],
    ],
    ['a short hole is read', [...range(0, 30), ...range(45, 60)], [0, 60], [['data', 0, 60]]],
    [
      'a longer one is not',
      [...range(0, 30), ...range(46, 60)],
      [0, 60],
      [
        ['data', 0, 30],
        ['hole', 30, 16],
        ['data', 46, 14],
      ],
    ],
    ['short only by the question', range(0, 30), [20, 20], [['data', 20, 20]]],
    [
      'short, but nothing before it',
      range(40, 60),
      [35, 10],
      [
        ['hole', 35, 5],
        ['data', 40, 5],
      ],
    ],
    [
      'every other page',
      range(0, 32).map((n) => n * 2),
      [0, 100],
      [
        ['data', 0, 64],
        ['hole', 64, 36],
      ],
    ],
    [
      'the last page',
      [99],
      [90, 10],
      [
        ['hole', 90, 9],
        ['data', 99, 1],
      ],
    ],
    ['nothing asked', [], [100, 0], []],
  ];
  t.plan(tables.length);
  for (const [label, dataPages, [firstPage, pageCount], runs] of tables) {
    const image = makeImage(t, { pageCount: 100, dataPages });
    t.same(runsOf(new ImageReader({ image, calls: fileCalls }), firstPage, pageCount), runs, label);
  }
});

void t.test('a page that is partly data is data', (t) => {
  t.plan(1);
  const image = makeImage(t, { pageCount: 100, dataPages: [] });
  // A file system with blocks of 1 KiB: data from the middle of page 20 to the middle of page 50.
  const from = 20 * PAGE_SIZE + 1024;
  const to = 50 * PAGE_SIZE + 2048;
  const calls = {
    ...fileCalls,
    seekData: (_fd: number, offset: number) => (offset >= to ? -1 : Math.max(offset, from)),
    seekHole: (_fd: number, offset: number) => (offset < from || offset >= to ? offset : to),
  };
  const runs = runsOf(new ImageReader({ image, calls }), 0, 100);
  t.same(runs, [
    ['hole', 0, 20],
    ['data', 20, 31],
    ['hole', 51, 49],
  ]);
});

void t.test('whatever the file and the way of asking: no gap, and every written page is data', (t) => {
  t.plan(1);
  const pageCount = 2 * BATCH_PAGES + 10;
  const secret = new Uint8Array(SECRET_BYTES).fill(7);
  const property = fc.property(
    fc.uniqueArray(fc.nat(pageCount - 1)),
    // Stretches of 64 pages, so that whole batches are data too.
    fc.uniqueArray(fc.nat(Math.floor(pageCount / 64) - 1)),
    fc.integer({ min: 1, max: 50 }),
    fc.boolean(),
    (single, stretches, step, isMapped) => {
      const dataPages = [...single, ...stretches.flatMap((at) => range(at * 64, at * 64 + 64))];
      const image = makeImage(t, { pageCount, dataPages });
      const mapping = new ImageMapping({ image, calls: mappingCalls, secret });
      const arePresent = (first: number, count: number): boolean => mapping.arePresent(first, count);
      const reader = new ImageReader({ image, calls: fileCalls, ...(isMapped ? { arePresent } : {}) });
      const written = new Set(dataPages);
      for (let page = 0; page < pageCount; page += step) {
        let next = page;
        for (const run of reader.dataRuns(page, Math.min(step, pageCount - page))) {
          if (run.firstPage !== next || run.pageCount < 1) return false;
          next += run.pageCount;
          if (run.kind === 'hole' && range(run.firstPage, next).some((each) => written.has(each)))
            return false;
        }
        if (next !== Math.min(page + step, pageCount)) return false;
      }
      return true;
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 50, interruptAfterTimeLimit: 3000 }));
});

void t.test('walking chunk by chunk seeks once an extent, again each round', (t) => {
  t.plan(4);
  const image = makeImage(t, { pageCount: 4096, dataPages: [...range(0, 2048), ...range(3000, 3100)] });
  const calls = countingFileCalls();
  const reader = new ImageReader({ image, calls });
  const walk = (): void => range(0, 8).forEach((chunk) => void runsOf(reader, chunk * 512, 512));
  walk();
  t.equal(calls.seekCount(), 6, 'data, hole, data, hole: 2 + 1 + 2 + 1');
  writeSync(image.fd, dataPage(4000), 0, PAGE_SIZE, 4000 * PAGE_SIZE);
  t.same(runsOf(reader, 3584, 512), [['hole', 3584, 512]], 'known in this round');
  reader.startRound();
  t.same(runsOf(reader, 3584, 512), [
    ['hole', 3584, 416],
    ['data', 4000, 16],
    ['hole', 4016, 80],
  ]);
  t.equal(calls.seekCount(), 10);
});

void t.test('questions may go backwards', (t) => {
  t.plan(2);
  const image = makeImage(t, { pageCount: 100, dataPages: range(40, 60) });
  const reader = new ImageReader({ image, calls: fileCalls });
  t.same(runsOf(reader, 50, 5), [['data', 50, 5]]);
  t.same(runsOf(reader, 10, 5), [['hole', 10, 5]]);
});

void t.test('pages are read as they are, and a hole is not filled by reading it', (t) => {
  t.plan(4);
  const image = makeImage(t, { pageCount: 100, dataPages: [3, 4, 99] });
  const reader = new ImageReader({ image, calls: fileCalls });
  const target = new Uint8Array(4 * PAGE_SIZE).fill(255);
  reader.read(2, 3, target);
  const expected = new Uint8Array(4 * PAGE_SIZE);
  expected.set(dataPage(3), PAGE_SIZE);
  expected.set(dataPage(4), 2 * PAGE_SIZE);
  expected.fill(255, 3 * PAGE_SIZE);
  t.same(Buffer.from(target), Buffer.from(expected));
  reader.read(99, 1, target);
  t.same(Buffer.from(target.subarray(0, PAGE_SIZE)), Buffer.from(dataPage(99)));
  reader.read(0, 3, target);
  t.equal(allocatedPageCount(image.fd), 3);
  t.throws(() => reader.read(98, 3, target), {
    name: 'MemoryError',
    fault: { code: 'outside-block', pageLimit: 100 },
  });
});

void t.test('an image that is cut short while in use is no image of zeros', (t) => {
  t.plan(5);
  const image = makeImage(t, { pageCount: 100, dataPages: range(0, 50) });
  const reader = new ImageReader({ image, calls: fileCalls });
  const fault = { code: 'truncated', sizeBytes: 40.5 * PAGE_SIZE, path: image.path };
  ftruncateSync(image.fd, 40.5 * PAGE_SIZE);
  t.throws(
    () => reader.read(40, 1, new Uint8Array(PAGE_SIZE)),
    { name: 'MemoryError', fault },
    'part of a page',
  );
  t.throws(() => reader.read(60, 1, new Uint8Array(PAGE_SIZE)), { name: 'MemoryError', fault });
  t.throws(() => runsOf(reader, 60, 10), { name: 'MemoryError', fault });
  reader.startRound();
  t.throws(() => runsOf(reader, 0, 100), { name: 'MemoryError', fault });
  const closed = new ImageReader({ image: { ...image, fd: 1_000_000 }, calls: fileCalls });
  const ebadf = { code: 'io', errno: 'EBADF', operation: 'read' };
  t.throws(() => closed.read(0, 1, new Uint8Array(PAGE_SIZE)), { name: 'MemoryError', fault: ebadf });
});

void t.test('a batch that is in memory is not walked through by lseek', (t) => {
  t.plan(4);
  const pageCount = 4 * BATCH_PAGES;
  const dataPages = [...range(0, 3 * BATCH_PAGES - 20)];
  const image = makeImage(t, { pageCount, dataPages });
  const calls = countingFileCalls();
  const holes: number[] = [];
  const counted = {
    ...calls,
    seekHole: (fd: number, at: number) => (holes.push(at), calls.seekHole(fd, at)),
  };
  const secret = new Uint8Array(SECRET_BYTES).fill(7);
  const mapping = new ImageMapping({ image, calls: mappingCalls, secret });
  const arePresent = (firstPage: number, count: number): boolean => mapping.arePresent(firstPage, count);
  const reader = new ImageReader({ image, calls: counted, arePresent });
  const runs: Run[] = [
    ['data', 0, dataPages.length],
    ['hole', dataPages.length, pageCount - dataPages.length],
  ];
  t.same(runsOf(reader, 0, pageCount), runs);
  t.same(holes, [2 * BATCH_PAGES * PAGE_SIZE], 'only in the batch that ends with a hole');
  t.equal(allocatedPageCount(image.fd), dataPages.length, 'no hole was allocated');
  writeSync(image.fd, new Uint8Array(PAGE_SIZE), 0, PAGE_SIZE, (pageCount - 1) * PAGE_SIZE);
  reader.startRound();
  t.same(runsOf(reader, 0, pageCount).at(-1), ['data', pageCount - 1, 1], 'holes are looked up anew');
});
