import t from 'tap';
import { RateLimit } from '../src/engine/rate-limit.ts';

const KIB = 1024;

void t.test('no limit never waits', async (t) => {
  const limit = new RateLimit(RateLimit.allocate());
  t.equal(await limit.reserve(1e12), 0);
});

void t.test('bytes take their time, whoever sends them', async (t) => {
  const buffer = RateLimit.allocate();
  const limits = [new RateLimit(buffer), new RateLimit(buffer)];
  limits[0]?.set(1000 * KIB);
  const startMs = performance.now();
  for (let index = 0; index < 10; index += 1) await limits[index % 2]?.reserve(20 * KIB);
  // Nine times 20 KiB have passed before the tenth may start, less what may be saved up.
  t.ok(performance.now() - startMs >= 9 * 20 - 25, 'never faster than the limit');
});

void t.test('a change of the rate ends the waiting under the old one', async (t) => {
  const buffer = RateLimit.allocate();
  const limit = new RateLimit(buffer);
  limit.set(1);
  await limit.reserve(1);
  const waiting = limit.reserve(1000);
  new RateLimit(buffer).set(0);
  t.ok((await waiting) < 1_000_000, 'it did not wait for 1000 s');
});
