import { createXXHash128 } from 'hash-wasm';
import t from 'tap';
import { DestinationKernel } from '../src/destination-kernel.ts';
import { digest, zeroDigest } from '../src/digest.ts';
import { edited, randomPage, randomSecret } from './vectors.ts';
import { secretOfSeed } from './xxh3-secret.ts';

const pages = [
  randomPage(0),
  randomPage(1),
  randomPage(2),
  edited(randomPage(2), [[4095, 1]]),
  new Uint8Array(4096).fill(255),
];
const seeds = [
  [0, 0],
  [1, 0],
  [0xdeadbeef, 0x01234567],
  [0xffffffff, 0xffffffff],
] as const;

void t.test('reference and kernel agree with an independent XXH3-128, unseeded and seeded', async (t) => {
  t.plan(2 * pages.length * seeds.length);
  for (const [low, high] of seeds) {
    const oracle = await createXXHash128(low, high);
    const secret = secretOfSeed(low, high);
    const kernel = new DestinationKernel({ secret });
    for (const [i, page] of pages.entries()) {
      const expected = oracle.init().update(page).digest('hex');
      t.equal(canonical(digest(page, secret)), expected, `reference, seed ${high}:${low}, page ${i}`);
      t.equal(canonical(kernelDigest(kernel, page)), expected, `kernel, seed ${high}:${low}, page ${i}`);
    }
  }
});

void t.test('kernel agrees with the reference under secrets that no seed makes', (t) => {
  t.plan(24);
  for (let seed = 1; seed <= 24; seed++) {
    const secret = randomSecret(seed * 7919);
    const page = randomPage(seed * 104729);
    t.same(kernelDigest(new DestinationKernel({ secret }), page), digest(page, secret));
  }
});

void t.test('every bit of secret and page counts', (t) => {
  t.plan(2);
  const secret = randomSecret(3);
  const page = randomPage(9);
  const seen = new Set<string>();
  for (let i = 0; i < 192; i++) seen.add(canonical(digest(page, flipped(secret, i))));
  t.equal(seen.size, 192, 'secret');
  const kernel = new DestinationKernel({ secret });
  for (let i = 0; i < 4096; i++) seen.add(canonical(kernelDigest(kernel, flipped(page, i))));
  t.equal(seen.size, 192 + 4096, 'page');
});

void t.test('zero page', (t) => {
  t.plan(2);
  const secret = randomSecret(8);
  const kernel = new DestinationKernel({ secret });
  kernel.zeroPages(0, 1);
  t.same(kernel.digests.slice(0, 16), zeroDigest(secret));
  t.same(zeroDigest(secret), digest(new Uint8Array(4096), secret));
});

void t.test('wrong sizes are refused', (t) => {
  t.plan(3);
  t.throws(() => digest(new Uint8Array(4095), randomSecret(1)));
  t.throws(() => digest(new Uint8Array(4096), new Uint8Array(191)));
  t.throws(() => new DestinationKernel({ secret: new Uint8Array(193) }));
});

function kernelDigest(kernel: DestinationKernel, page: Uint8Array): Uint8Array {
  kernel.staging.set(page);
  kernel.digestStaging(0, 1);
  return kernel.digests.slice(0, 16);
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ (1 << (at & 7));
  return copy;
}

/** XXH128's canonical form is big-endian, high half first. */
function canonical(digest: Uint8Array): string {
  return Buffer.from(digest.toReversed()).toString('hex');
}
