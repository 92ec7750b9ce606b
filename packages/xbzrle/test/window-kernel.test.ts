// The comparison in a window against the reference digest; the window here is the instance's own memory.
import t from 'tap';
import { BATCH_PAGES, DIGEST_BYTES, PAGE_SIZE } from '../src/constants.ts';
import { digest } from '../src/digest.ts';
import { WindowKernel } from '../src/window-kernel.ts';
import { SECRET } from './stream.ts';
import { randomPages } from './vectors.ts';

const PAGES = 40;
const FIRST = 5;

/** A kernel whose batch of PAGES pages from FIRST on is as its digests say, every third page zero. */
function unchangedWindow(): { readonly kernel: WindowKernel; readonly change: (page: number) => void } {
  const kernel = new WindowKernel({ secret: SECRET, pageCount: FIRST + PAGES });
  const pages = randomPages(1, PAGES);
  pages.forEach((page, index) => {
    if (index % 3 === 0) page.fill(0);
    kernel.window.set(page, (FIRST + index) * PAGE_SIZE);
    kernel.digests.set(digest(page, SECRET), index * DIGEST_BYTES);
  });
  kernel.resident.fill(1);
  const change = (page: number): void => {
    const last = (FIRST + page) * PAGE_SIZE + PAGE_SIZE - 1;
    kernel.window[last] = (kernel.window[last] ?? 0) ^ 1;
  };
  return { kernel, change };
}

void t.test('the window can be replaced by a mapping', (t) => {
  t.plan(2);
  const { kernel } = unchangedWindow();
  t.equal(kernel.window.byteOffset % PAGE_SIZE, 0, 'it begins at a page of the memory');
  t.equal(kernel.window.length, (FIRST + PAGES) * PAGE_SIZE);
});

void t.test('a changed page is found by one bit, zero or not, wherever it is', (t) => {
  t.plan(PAGES + 1);
  const { kernel } = unchangedWindow();
  t.equal(kernel.firstChanged(FIRST, 0, PAGES), PAGES, 'nothing changed');
  for (let page = 0; page < PAGES; page += 1) {
    const { kernel, change } = unchangedWindow();
    change(page);
    t.same(
      [0, page, page + 1].map((from) => kernel.firstChanged(FIRST, from, PAGES)),
      [page, page, PAGES],
    );
  }
});

void t.test('a run takes short gaps along and ends with a changed page', (t) => {
  t.plan(4);
  const { kernel, change } = unchangedWindow();
  for (const page of [3, 4, 13, 23, 39]) change(page);
  t.equal(kernel.changedEnd(FIRST, 3, PAGES), 14, 'over a gap of eight pages');
  t.equal(kernel.changedEnd(FIRST, 23, PAGES), 24, 'a longer one ends it');
  t.equal(kernel.changedEnd(FIRST, 39, PAGES), 40);
  t.equal(kernel.changedEnd(FIRST, 3, 10), 5, 'and so does the end');
});

void t.test('pages that may not be touched are counted by bit 0', (t) => {
  t.plan(3);
  const { kernel } = unchangedWindow();
  kernel.resident.fill(0xff);
  for (const [index, byte] of [0, 2, 0xfe, 0].entries()) kernel.resident[5 * index] = byte;
  t.equal(kernel.absentCount(BATCH_PAGES), 4);
  t.equal(kernel.absentCount(15), 3, 'page 15 is behind them');
  t.throws(() => kernel.absentCount(BATCH_PAGES + 1));
});

void t.test('a page that is not resident counts as changed', (t) => {
  t.plan(2);
  const { kernel } = unchangedWindow();
  kernel.resident[7] = 0;
  t.equal(kernel.firstChanged(FIRST, 0, PAGES), 7);
  t.equal(kernel.changedEnd(FIRST, 7, PAGES), 8);
});

void t.test('pages outside the window or the batch are refused', (t) => {
  t.plan(3);
  const { kernel } = unchangedWindow();
  t.throws(() => kernel.firstChanged(FIRST + 1, 0, PAGES), /outside the window/);
  t.throws(() => kernel.firstChanged(0, 0, BATCH_PAGES + 1));
  t.throws(() => kernel.changedEnd(0, 2, 1));
});
