import t from 'tap';
import { checkPageRange, pageCountOf, sizeProblem } from '../src/block.ts';
import { MemoryError } from '../src/errors.ts';

const TERABYTE = 2 ** 40;

void t.test('a block of a valid size', (t) => {
  const sizes: readonly (readonly [sizeBytes: number, pageCount: number])[] = [
    [4096, 1],
    [2 ** 30, 262_144],
    [16 * TERABYTE, 2 ** 32],
  ];
  t.plan(sizes.length * 2);
  for (const [sizeBytes, pageCount] of sizes) {
    t.equal(sizeProblem(sizeBytes), undefined);
    t.equal(pageCountOf({ sizeBytes }), pageCount);
  }
});

void t.test('a size that cannot be', (t) => {
  const wrong: readonly (readonly [sizeBytes: number, reason: RegExp])[] = [
    [0, /above 0/],
    [-4096, /above 0/],
    [Number.NaN, /above 0/],
    [4097, /multiple of 4096/],
    [16 * TERABYTE + 4096, /at most/],
  ];
  t.plan(wrong.length);
  for (const [sizeBytes, reason] of wrong) t.match(sizeProblem(sizeBytes), reason);
});

void t.test('runs inside and outside a block', (t) => {
  const outside: readonly (readonly [firstPage: number, pageCount: number])[] = [
    [10, 1],
    [9, 2],
    [-1, 1],
    [0, -1],
    [0.5, 1],
    [2 ** 53, 2 ** 53],
    [Number.NaN, 1],
  ];
  t.plan(2 + outside.length);
  t.doesNotThrow(() => checkPageRange(0, 10, 10));
  t.doesNotThrow(() => checkPageRange(10, 0, 10));
  for (const [firstPage, pageCount] of outside) {
    t.throws(() => checkPageRange(firstPage, pageCount, 10), MemoryError, `${firstPage} + ${pageCount}`);
  }
});
