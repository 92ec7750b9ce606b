import t from 'tap';
import { DestinationKernel } from '../src/destination-kernel.ts';
import { ZERO_ROOT, addRoots, mix, subtractRoots } from '../src/root.ts';
import { fillRandom, randomSecret } from './vectors.ts';

const COUNTING = Uint8Array.from({ length: 16 }, (_, i) => i);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

void t.test('vectors of the mix', (t) => {
  const table: [number, Uint8Array, string][] = [
    [1, COUNTING, 'd903460ad73682265611c354f5c83f0b'],
    [0, COUNTING, '6a6a930c8964a9223cb836e96b2ca608'],
    [2 ** 32 - 1, COUNTING, 'd9bb6285f01291cd434ee2cc87ca0d88'],
    [7, ZERO_ROOT, '00000000000000000000000000000000'],
  ];
  t.plan(table.length);
  for (const [pageIndex, digest, expected] of table) t.equal(hex(mix(pageIndex, digest)), expected);
});

void t.test('sums', (t) => {
  t.plan(5);
  const a = mix(1, COUNTING);
  const b = mix(2, COUNTING);
  t.same(addRoots(a, b), addRoots(b, a));
  t.same(subtractRoots(addRoots(a, b), b), a);
  t.same(subtractRoots(a, a), ZERO_ROOT);
  const ones = new Uint8Array(16).fill(255);
  t.same(addRoots(ones, Uint8Array.of(1, ...new Uint8Array(15))), ZERO_ROOT, 'carries through and wraps');
  t.same(subtractRoots(ZERO_ROOT, Uint8Array.of(1, ...new Uint8Array(15))), ones, 'borrows through');
});

void t.test('swapped pages, swapped halves and small changes do not cancel', (t) => {
  t.plan(3);
  const other = COUNTING.toReversed();
  t.notSame(addRoots(mix(1, COUNTING), mix(2, other)), addRoots(mix(2, COUNTING), mix(1, other)));
  t.notSame(mix(1, COUNTING), mix(1, Uint8Array.of(...COUNTING.subarray(8), ...COUNTING.subarray(0, 8))));
  const plusOne = COUNTING.slice();
  plusOne[0] = 1;
  const forward = subtractRoots(mix(1, plusOne), mix(1, COUNTING));
  t.notSame(forward, subtractRoots(mix(2, plusOne), mix(2, COUNTING)));
});

void t.test('the kernel keeps the same root as pages come and go', (t) => {
  t.plan(40);
  const kernel = new DestinationKernel({ secret: randomSecret(5) });
  const firstPage = 2 ** 32 - 16;
  fillRandom(kernel.root, 99);
  let expected: Uint8Array = kernel.root.slice();
  for (let step = 1; step <= 40; step++) {
    fillRandom(kernel.staging.subarray(0, 3 * 4096), step);
    const before = kernel.digests.slice(0, 48);
    kernel.digestStaging(firstPage + 4, 3);
    for (const i of [0, 1, 2]) {
      const [from, to] = [before, kernel.digests].map((table) => table.slice(i * 16, i * 16 + 16));
      expected = subtractRoots(expected, mix(firstPage + 4 + i, from ?? ZERO_ROOT));
      expected = addRoots(expected, mix(firstPage + 4 + i, to ?? ZERO_ROOT));
    }
    t.same(kernel.root, expected);
  }
});

void t.test('page indexes outside 32 bits are refused', (t) => {
  t.plan(4);
  t.throws(() => mix(-1, COUNTING));
  t.throws(() => mix(2 ** 32, COUNTING));
  t.throws(() => mix(0.5, COUNTING));
  t.throws(() => mix(0, COUNTING.subarray(1)));
});
