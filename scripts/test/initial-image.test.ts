// Images from a seed: the bytes of the file are those of the replay, and zero pages are holes when they may be.
import t from 'tap';
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PAGE_BYTES, fillInitialPage, writeInitialImage } from '../src/workload/initial-image.ts';

const pageCount = 1024 + 100;
const image = { seed: 5, sizeBytes: pageCount * PAGE_BYTES, zeroShare: 0.4 };
const makeImage = fileURLToPath(new URL('../src/make-image.js', import.meta.url));

/** Without the test runner's own loaders. */
const env = { ...process.env, NODE_OPTIONS: '' };

void t.test('writes the same bytes with holes and without', (t) => {
  t.plan(5);
  const holes = join(t.testdir(), 'holes');
  const written = join(t.testdirName, 'written');
  writeInitialImage(holes, image, 'holes');
  writeInitialImage(written, image, 'written');
  const bytes = readFileSync(holes);
  t.equal(bytes.length, image.sizeBytes);
  t.ok(readFileSync(written).equals(bytes));
  t.ok(statSync(holes).blocks < statSync(written).blocks, 'holes are not allocated');

  const words = new Uint32Array(PAGE_BYTES / 4);
  const differing: number[] = [];
  let zeroCount = 0;
  for (let page = 0; page < pageCount; page += 1) {
    fillInitialPage(words, image, page);
    if (words.every((word) => word === 0)) zeroCount += 1;
    const found = bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    if (!found.equals(Buffer.from(words.buffer))) differing.push(page);
  }
  t.strictSame(differing, []);
  t.ok(zeroCount > pageCount * 0.25 && zeroCount < pageCount * 0.55, `${zeroCount} zero pages`);
});

void t.test('the command line makes the same image', (t) => {
  t.plan(2);
  const path = join(t.testdir(), 'image');
  const expected = join(t.testdirName, 'expected');
  const args = ['--image', path, '--size', '4496K', '--seed', '5', '--zero-share', '0.4'];
  const result = spawnSync(process.execPath, [makeImage, ...args], { encoding: 'utf8', env });
  t.equal(result.stderr, '');
  writeInitialImage(expected, image, 'holes');
  t.ok(readFileSync(path).equals(readFileSync(expected)));
});

void t.test('the command line says what is wrong', (t) => {
  const table = [
    [['--size', '1M'], /usage/],
    [['--image', '/nonexistent/x', '--size', '100'], /multiple of 4096/],
    [['--image', '/nonexistent/x', '--size', '1T'], /number of bytes/],
    [['--image', '/nonexistent/x', '--size', '1M', '--zero-share', '2'], /between 0 and 1/],
    [['--image', '/nonexistent/x', '--size', '1M'], /ENOENT/],
  ] as const;
  t.plan(table.length * 2);
  for (const [args, message] of table) {
    const result = spawnSync(process.execPath, [makeImage, ...args], { encoding: 'utf8', env });
    t.equal(result.status, 2);
    t.match(result.stderr, message);
  }
});
