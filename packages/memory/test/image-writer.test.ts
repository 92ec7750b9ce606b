import { spawnSync } from 'node:child_process';
import { ftruncateSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { PAGE_SIZE } from '@pageferry/xbzrle';
import type { FileCalls } from '../src/file-calls.ts';
import { openImage } from '../src/image-file.ts';
import { ImageReader } from '../src/image-reader.ts';
import { ImageWriter, PUNCH_MINIMUM_PAGES } from '../src/image-writer.ts';
import { countingFileCalls, fileCalls } from './file-calls.ts';
import { allocatedPageCount, dataPage, makeImage, range } from './image-folder.ts';

const HUGE_PAGES = 4;

/** A file system without holes to make; counts the attempts. */
function callsWithoutPunch(code: string): FileCalls & { readonly attemptCount: () => number } {
  let attempts = 0;
  return {
    ...fileCalls,
    punchHole() {
      attempts += 1;
      return fail(code);
    },
    attemptCount: () => attempts,
  };
}

void t.test('what is written is read, by the writer and by a reader', (t) => {
  t.plan(4);
  const image = makeImage(t, { pageCount: 100, dataPages: [] });
  const writer = new ImageWriter({ image, calls: fileCalls });
  const pages = new Uint8Array(3 * PAGE_SIZE).map((_, index) => index % 251);
  const target = new Uint8Array(3 * PAGE_SIZE);
  writer.write(97, pages);
  writer.read(97, 3, target);
  t.same(Buffer.from(target), Buffer.from(pages));
  new ImageReader({ image, calls: fileCalls }).read(98, 1, target);
  t.same(Buffer.from(target.subarray(0, PAGE_SIZE)), Buffer.from(pages.subarray(PAGE_SIZE, 2 * PAGE_SIZE)));
  t.throws(() => writer.write(98, pages), { name: 'MemoryError', fault: { code: 'outside-block' } });
  t.equal(image.sizeBytes, 100 * PAGE_SIZE);
});

void t.test('zeroing: zeros whatever was there, holes stay, long runs give their memory back', (t) => {
  const full = range(0, 100);
  const tables: readonly (readonly [
    label: string,
    dataPages: readonly number[],
    zero: [number, number],
    allocated: number,
    punches: number,
  ])[] = [
    ['a fresh file costs nothing', [], [0, 100], 0, 0],
    ['a hole beside data', [5], [6, 94], 1, 0],
    ['a single page keeps its memory', full, [7, 1], 100, 0],
    ['just below the minimum', full, [7, PUNCH_MINIMUM_PAGES - 1], 100, 0],
    ['the minimum', full, [7, PUNCH_MINIMUM_PAGES], 100 - PUNCH_MINIMUM_PAGES, 1],
    ['everything', full, [0, 100], 0, 1],
    ['a short run with a hole in it', [1, 2, 5], [0, 8], 3, 0],
    ['a long run with holes', [1, 20, 40], [0, 60], 0, 1],
    ['nothing', full, [100, 0], 100, 0],
  ];
  t.plan(tables.length * 3);
  for (const [label, dataPages, [firstPage, pageCount], allocated, punches] of tables) {
    const image = makeImage(t, { pageCount: 100, dataPages });
    const calls = countingFileCalls();
    new ImageWriter({ image, calls }).zero(firstPage, pageCount);
    t.same(wrongPages(image, dataPages, firstPage, pageCount), [], label);
    t.equal(allocatedPageCount(image.fd), allocated, `${label}: pages allocated`);
    t.equal(calls.punchCount(), punches, `${label}: punches`);
  }
});

void t.test('without punching zeros are written, and holes still stay', (t) => {
  t.plan(6);
  for (const code of ['EOPNOTSUPP', 'ENOTSUP']) {
    const dataPages = [...range(0, 700), 710, 799];
    const image = makeImage(t, { pageCount: 800, dataPages });
    const calls = callsWithoutPunch(code);
    const writer = new ImageWriter({ image, calls });
    writer.zero(10, 780);
    writer.zero(100, 50);
    t.same(wrongPages(image, dataPages, 10, 780), [], code);
    t.equal(allocatedPageCount(image.fd), 702);
    t.equal(calls.attemptCount(), 1, 'it is asked once');
  }
});

void t.test('any other failure is reported', (t) => {
  t.plan(2);
  const image = makeImage(t, { pageCount: 100, dataPages: range(0, 100) });
  const writer = new ImageWriter({ image, calls: callsWithoutPunch('EPERM') });
  t.throws(() => writer.zero(0, 100), {
    name: 'MemoryError',
    fault: { code: 'io', operation: 'punch', errno: 'EPERM' },
  });
  t.throws(() => writer.zero(0, 101), { name: 'MemoryError', fault: { code: 'outside-block' } });
});

void t.test('a page that is only partly data becomes zero as a whole', (t) => {
  t.plan(1);
  const image = makeImage(t, { pageCount: 10, dataPages: range(0, 10) });
  // As on a file system with blocks of 1 KiB: page 3 has data in its middle, pages 4 and 5 throughout, 6 at its start.
  const extents = [
    [3.25, 3.5],
    [3.75, 6.25],
  ] as const;
  const calls: FileCalls = {
    ...fileCalls,
    seekData(_fd, offset) {
      const extent = extents.find(([, end]) => offset < end * PAGE_SIZE);
      return extent === undefined ? -1 : Math.max(offset, extent[0] * PAGE_SIZE);
    },
    seekHole(_fd, offset) {
      const extent = extents.find(([start, end]) => start * PAGE_SIZE <= offset && offset < end * PAGE_SIZE);
      return extent === undefined ? offset : extent[1] * PAGE_SIZE;
    },
  };
  new ImageWriter({ image, calls }).zero(0, 10);
  t.same(wrongPages(image, range(0, 10), 3, 4), []);
});

void t.test('any sequence of writes and zeroing leaves what a plain array has', (t) => {
  t.plan(1);
  const pageCount = 64;
  const step = fc.record({
    first: fc.nat(pageCount - 1),
    count: fc.integer({ min: 1, max: 40 }),
    isZero: fc.boolean(),
  });
  const property = fc.property(fc.array(step, { maxLength: 12 }), fc.boolean(), (steps, canPunch) => {
    const image = makeImage(t, { pageCount, dataPages: [] });
    const writer = new ImageWriter({ image, calls: canPunch ? fileCalls : callsWithoutPunch('EOPNOTSUPP') });
    const expected = Buffer.alloc(pageCount * PAGE_SIZE);
    for (const [index, { first, count, isZero }] of steps.entries()) {
      const pages = Buffer.alloc(Math.min(count, pageCount - first) * PAGE_SIZE, isZero ? 0 : index + 1);
      expected.set(pages, first * PAGE_SIZE);
      if (isZero) writer.zero(first, pages.length / PAGE_SIZE);
      else writer.write(first, pages);
    }
    const actual = Buffer.alloc(expected.length);
    writer.read(0, pageCount, actual);
    return actual.equals(expected);
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 60, interruptAfterTimeLimit: 3000 }));
});

/** Pages that are not zero in the zeroed run, or not as makeImage made them elsewhere. */
function wrongPages(
  image: { readonly fd: number; readonly path: string; readonly sizeBytes: number },
  dataPages: readonly number[],
  firstPage: number,
  pageCount: number,
): number[] {
  const reader = new ImageReader({ image, calls: fileCalls });
  const page = Buffer.alloc(PAGE_SIZE);
  const written = new Set(dataPages);
  return range(0, reader.pageCount).filter((index) => {
    const isZeroed = index >= firstPage && index < firstPage + pageCount;
    reader.read(index, 1, page);
    return !page.equals(written.has(index) && !isZeroed ? dataPage(index) : Buffer.alloc(PAGE_SIZE));
  });
}

void t.test('a file system that does not know SEEK_DATA and SEEK_HOLE has no holes', (t) => {
  t.plan(4);
  const calls: FileCalls = { ...callsWithoutPunch('EOPNOTSUPP'), seekData: notKnown, seekHole: notKnown };
  const image = makeImage(t, { pageCount: 100, dataPages: range(0, 50) });
  const reader = new ImageReader({ image, calls });
  t.same([...reader.dataRuns(0, 100)], [{ kind: 'data', firstPage: 0, pageCount: 100 }]);
  new ImageWriter({ image, calls }).zero(10, 90);
  const target = new Uint8Array(100 * PAGE_SIZE);
  reader.read(0, 100, target);
  t.ok(
    target.subarray(10 * PAGE_SIZE).every((byte) => byte === 0),
    'zeros are written',
  );
  ftruncateSync(image.fd, PAGE_SIZE);
  reader.startRound();
  t.throws(
    () => [...reader.dataRuns(50, 50)],
    { name: 'MemoryError', fault: { code: 'truncated' } },
    'a short file still shows',
  );
  const denied = { ...calls, seekData: () => fail('EIO') };
  t.throws(() => [...new ImageReader({ image, calls: denied }).dataRuns(0, 1)], {
    name: 'MemoryError',
    fault: { errno: 'EIO' },
  });
});

function notKnown(): never {
  return fail('EINVAL');
}

function fail(code: string): never {
  throw Object.assign(new Error(code), { code });
}

/** A file system of huge pages with room for a few, for as long as the test; or why there is none. */
function mountHugePages(t: Test): string | { readonly why: string } {
  const counter = '/proc/sys/vm/nr_hugepages';
  if (process.getuid?.() !== 0) return { why: 'only root may mount' };
  const before = readFileSync(counter, 'latin1');
  try {
    writeFileSync(counter, String(Number(before) + HUGE_PAGES));
  } catch {
    return { why: 'huge pages cannot be set aside here' };
  }
  t.teardown(() => writeFileSync(counter, before));
  const path = mkdtempSync(join(tmpdir(), 'pageferry-huge-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  const options = `pagesize=2M,size=${HUGE_PAGES * 2}M`;
  if (spawnSync('mount', ['-t', 'hugetlbfs', '-o', options, 'none', path]).status !== 0)
    return { why: 'nothing may be mounted here' };
  t.teardown(() => void spawnSync('umount', ['--lazy', path]));
  return path;
}

void t.test('huge pages are written and made zero, within one and across several', (t) => {
  const directory = mountHugePages(t);
  if (typeof directory !== 'string') {
    t.plan(0, directory.why);
    return;
  }
  t.plan(3);
  const sizeBytes = HUGE_PAGES * 2 ** 21;
  const image = openImage({
    path: join(directory, 'image'),
    writable: true,
    create: true,
    expectedSizeBytes: sizeBytes,
  });
  t.teardown(() => image.close());
  const writer = new ImageWriter({ image, calls: fileCalls });
  const pages = new Uint8Array(700 * PAGE_SIZE).map((_, index) => (index % 251) + 1);
  const wanted = Buffer.alloc(sizeBytes);
  const found = Buffer.alloc(sizeBytes);
  const checkWhole = (what: string): void => {
    writer.read(0, sizeBytes / PAGE_SIZE, found);
    t.ok(found.equals(wanted), what);
  };
  writer.write(300, pages);
  wanted.set(pages, 300 * PAGE_SIZE);
  checkWhole('written');
  writer.zero(500, 200);
  wanted.fill(0, 500 * PAGE_SIZE, 700 * PAGE_SIZE);
  checkWhole('zeros where they belong');
  t.throws(() => writer.write(sizeBytes / PAGE_SIZE - 1, pages), {
    name: 'MemoryError',
    fault: { code: 'outside-block' },
  });
});
