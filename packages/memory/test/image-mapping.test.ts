import t, { type Test } from 'tap';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { ftruncateSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BATCH_PAGES, PAGE_SIZE, WINDOW_PAGES } from '@pageferry/xbzrle';
import { MemoryError } from '../src/errors.ts';
import type { MappingCalls } from '../src/file-calls.ts';
import { ImageMapping } from '../src/image-mapping.ts';
import type { Image } from '../src/image-file.ts';
import { writePages } from '../src/page-io.ts';
import { digestTableOf, SECRET } from './digested.ts';
import { fileCalls, mappingCalls } from './file-calls.ts';
import { allocatedPageCount, dataPage, makeImage, range } from './image-folder.ts';

const PAGES = 1300;
/** Smaller than a real one, so that the image needs two and the last is short. */
const WINDOW = 768;
const changedPage = new Uint8Array(PAGE_SIZE).fill(0xff);

function mappingOf(image: Image, calls: MappingCalls = mappingCalls): ImageMapping {
  return new ImageMapping({ image, calls, secret: SECRET, windowPages: WINDOW });
}

/** Compares the image in batches; the pages that are to be read. */
function changedPages(mapping: ImageMapping, table: ReturnType<typeof digestTableOf>): Set<number> {
  mapping.startRound();
  const changed = new Set<number>();
  for (let first = 0; first < PAGES; first += BATCH_PAGES) {
    const pageCount = Math.min(BATCH_PAGES, PAGES - first);
    let at = 0;
    for (const { isChanged, from, to } of mapping.compare(first, pageCount, table)) {
      if (from !== at || to <= from) throw new Error(`a gap before page ${first + from}`);
      if (isChanged) for (const page of range(from, to)) changed.add(first + page);
      at = to;
    }
    if (at !== pageCount) throw new Error(`nothing is said of page ${first + at}`);
  }
  return changed;
}

function pagesOf(bytes: Uint8Array, pageCount: number): Uint8Array[] {
  return range(0, pageCount).map((page) => bytes.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE));
}

function faultOf(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error instanceof MemoryError ? error.fault : error;
  }
  return undefined;
}

function image(t: Test, dataPages: Iterable<number> = range(0, PAGES)): Image {
  return makeImage(t, { pageCount: PAGES, dataPages });
}

void t.test('every page that changed is found, round after round, and few others are read', (t) => {
  t.plan(9);
  const file = image(t);
  const table = digestTableOf(file, PAGES);
  const mapping = mappingOf(file);
  t.same([...changedPages(mapping, table)], [], 'nothing changed');
  const written = new Set<number>();
  for (const page of [0, 255, 256, 511, 600, 767, 768, 1299]) {
    writePages(file, page, changedPage);
    written.add(page);
    t.same(changedPages(mapping, table), written, `page ${page} too`);
  }
});

void t.test('random writes: none is missed, and what is said to be unchanged is', (t) => {
  const file = image(t);
  const table = digestTableOf(file, PAGES);
  const mapping = mappingOf(file);
  for (const share of [0.01, 0.1, 0.7]) {
    const written = range(0, PAGES).filter((page) => (page * 7919) % 1000 < share * 1000);
    for (const page of written) writePages(file, page, changedPage);
    const found = changedPages(mapping, table);
    t.ok(
      written.every((page) => found.has(page)),
      `${written.length} pages`,
    );
    for (const page of written) writePages(file, page, dataPage(page));
  }
  t.end();
});

void t.test('holes are not touched: long ones, single ones, and what was punched since', (t) => {
  t.plan(5);
  const holes = new Set([...range(300, 700), 20, 900, 1000, ...range(1100, 1120)]);
  const data = range(0, PAGES).filter((page) => !holes.has(page));
  const file = image(t, data);
  const table = digestTableOf(file, PAGES);
  const mapping = mappingOf(file);
  t.equal(allocatedPageCount(file.fd), data.length);
  const found = changedPages(mapping, table);
  t.ok(
    [...holes].every((page) => found.has(page)),
    'a hole is to be read, which does not allocate it',
  );
  t.equal(allocatedPageCount(file.fd), data.length, 'and comparing allocated nothing');
  fileCalls.punchHole(file.fd, 800 * PAGE_SIZE, PAGE_SIZE);
  t.ok(changedPages(mapping, table).has(800), 'a page that became a hole differs');
  t.equal(allocatedPageCount(file.fd), data.length - 1);
});

void t.test('a batch is copied as it is read; one with a hole is not, and stays as it was', (t) => {
  t.plan(7);
  const file = image(
    t,
    range(0, PAGES).filter((page) => page !== 300),
  );
  const mapping = mappingOf(file);
  const target = new Uint8Array(BATCH_PAGES * PAGE_SIZE + 1).fill(7);
  t.ok(mapping.copyTo(512, BATCH_PAGES, target));
  t.same(pagesOf(target, BATCH_PAGES), range(512, 768).map(dataPage));
  t.equal(target.at(-1), 7, 'nothing behind it');
  t.ok(mapping.copyTo(1280, 20, target), 'the end of the second window');
  t.same(pagesOf(target, 20), range(1280, 1300).map(dataPage));
  t.notOk(mapping.copyTo(256, BATCH_PAGES, target), 'page 300 is a hole');
  t.equal(allocatedPageCount(file.fd), PAGES - 1);
});

void t.test('page tables come before mincore only where the file has all its blocks', (t) => {
  t.plan(3);
  const order: string[] = [];
  const calls: MappingCalls = {
    ...mappingCalls,
    residentPages: (...of) => {
      order.push('mincore');
      mappingCalls.residentPages(...of);
    },
    populate: (mapped) => {
      order.push('populate');
      mappingCalls.populate(mapped);
    },
  };
  const target = new Uint8Array(BATCH_PAGES * PAGE_SIZE);
  const orderOf = (file: Image): string[] => {
    order.length = 0;
    const mapping = mappingOf(file, calls);
    mapping.startRound();
    mapping.copyTo(256, BATCH_PAGES, target);
    mapping.copyTo(256, BATCH_PAGES, target);
    return [...order];
  };
  t.same(orderOf(image(t)), ['populate', 'mincore', 'mincore']);
  const hole = 700;
  const file = image(
    t,
    range(0, PAGES).filter((page) => page !== hole),
  );
  t.same(orderOf(file), ['mincore', 'populate', 'mincore'], 'a hole elsewhere');
  t.equal(allocatedPageCount(file.fd), PAGES - 1);
});

void t.test('a file that is cut short within a round is to be read', (t) => {
  t.plan(2);
  const file = image(t);
  const table = digestTableOf(file, PAGES);
  const mapping = mappingOf(file);
  mapping.startRound();
  ftruncateSync(file.fd, 300 * PAGE_SIZE);
  t.same(mapping.compare(512, BATCH_PAGES, table), [{ isChanged: true, from: 0, to: BATCH_PAGES }]);
  t.same(mapping.compare(256, 8, table), [{ isChanged: false, from: 0, to: 8 }]);
});

void t.test('windows of full size: pages at their borders and beyond 4 GiB', (t) => {
  const pageCount = 2 * WINDOW_PAGES + 300;
  const dataPages = [
    0,
    WINDOW_PAGES - 1,
    WINDOW_PAGES,
    2 * WINDOW_PAGES - 1,
    2 * WINDOW_PAGES,
    pageCount - 1,
  ];
  const file = makeImage(t, { pageCount, dataPages });
  const table = digestTableOf(file, pageCount, dataPages);
  const mapping = new ImageMapping({ image: file, calls: mappingCalls, secret: SECRET });
  for (const page of dataPages) {
    t.same(mapping.compare(page, 1, table), [{ isChanged: false, from: 0, to: 1 }], `page ${page}`);
    writePages(file, page, changedPage);
    t.same(mapping.compare(page, 1, table), [{ isChanged: true, from: 0, to: 1 }], 'once it was written');
  }
  t.equal(allocatedPageCount(file.fd), dataPages.length);
  t.end();
});

void t.test('a batch with many holes is read as a whole', (t) => {
  t.plan(2);
  const file = image(
    t,
    range(0, PAGES).filter((page) => page >= BATCH_PAGES || page % 8 > 0),
  );
  const table = digestTableOf(file, PAGES);
  const mapping = mappingOf(file);
  t.same(mapping.compare(0, BATCH_PAGES, table), [{ isChanged: true, from: 0, to: BATCH_PAGES }]);
  t.same(mapping.compare(BATCH_PAGES, 1, table), [{ isChanged: false, from: 0, to: 1 }]);
});

void t.test('a truncated file is an error before anything is touched', (t) => {
  t.plan(2);
  const file = image(t);
  const table = digestTableOf(file, PAGES);
  const mapping = mappingOf(file);
  t.same([...changedPages(mapping, table)], []);
  ftruncateSync(file.fd, 100 * PAGE_SIZE);
  t.match(
    faultOf(() => mapping.startRound()),
    { code: 'truncated', sizeBytes: 100 * PAGE_SIZE },
  );
});

void t.test('truncated between the check and the look-up: the pages are not touched but to be read', (t) => {
  t.plan(1);
  const file = image(t);
  const table = digestTableOf(file, PAGES);
  const mapping = mappingOf(file);
  mapping.startRound();
  mapping.compare(0, BATCH_PAGES, table);
  ftruncateSync(file.fd, 0);
  t.same(mapping.compare(0, BATCH_PAGES, table), [{ isChanged: true, from: 0, to: BATCH_PAGES }]);
});

void t.test('a lost race against a truncation ends the process by SIGBUS', (t) => {
  t.plan(1);
  const main = fileURLToPath(new URL('truncated-mapping-main.js', import.meta.url));
  const env = { ...process.env, NODE_OPTIONS: '' };
  const { signal } = spawnSync(process.execPath, [main, image(t).path], { env, timeout: 60_000 });
  t.equal(signal, 'SIGBUS');
});

void t.test('a file that cannot be mapped is read, and that is said once', async (t) => {
  const file = image(t);
  const table = digestTableOf(file, PAGES);
  let attemptCount = 0;
  const mapping = mappingOf(file, {
    ...mappingCalls,
    mapReadOnly: () => {
      attemptCount += 1;
      throw new Error('mmap: EINVAL');
    },
  });
  const warned = once(process, 'warning');
  t.equal(changedPages(mapping, table).size, PAGES);
  t.equal(attemptCount, 1);
  t.match(await warned, [{ message: `${file.path} is read, not mapped: mmap: EINVAL` }]);
});
