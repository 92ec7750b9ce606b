/**
 * A migration is completed when the guest runs at the destination; engine, images and guard of the source are let go after
 * that. Whoever goes on at once is not refused for it, and a daemon that ends at once leaves nothing.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MigrationStatus } from '@pageferry/protocol';
import { processState } from '@pageferry/scripts/harness';
import t, { type Test } from 'tap';
import { DaemonPair } from '../src/daemon-pair.ts';

const SIZE_BYTES = 64 * 2 ** 20;

async function startPair(t: Test): Promise<DaemonPair> {
  const pair = await DaemonPair.start();
  t.teardown(() => pair.end());
  writeFileSync(join(pair.directory, 'a.ram'), randomBytes(SIZE_BYTES));
  return pair;
}

/** Of the source, when it is over; `run` names the new image. */
async function migrate(
  { source, destination, directory }: DaemonPair,
  run: number,
): Promise<MigrationStatus> {
  const guest = { type: 'none' } as const;
  const { uri, token } = await destination.api.incoming({
    listen: 'tcp:127.0.0.1:0',
    blocks: [{ id: 'pc.ram', path: join(directory, `b-${run}.ram`), create: true }],
    guest,
  });
  await source.api.migrate({
    uri,
    token,
    blocks: [{ id: 'pc.ram', path: join(directory, 'a.ram') }],
    guest,
  });
  return source.api.untilOver();
}

void t.test('the image of a completed migration moves again at once', async (t) => {
  const pair = await startPair(t);
  for (let run = 0; run < 3; run += 1) t.equal((await migrate(pair, run)).status, 'completed');
  await pair.untilNothingIsLeftBehind();
});

void t.test('the image that was just left is received into at once', async (t) => {
  const pair = await startPair(t);
  const guest = { type: 'none' } as const;
  const [a, b] = [join(pair.directory, 'a.ram'), join(pair.directory, 'b-0.ram')];
  t.equal((await migrate(pair, 0)).status, 'completed');
  const { uri, token } = await pair.destination.api.incoming({
    listen: 'tcp:127.0.0.1:0',
    blocks: [{ id: 'pc.ram', path: a }],
    guest,
  });
  await pair.source.api.migrate({ uri, token, blocks: [{ id: 'pc.ram', path: b }], guest });
  t.equal((await pair.source.api.untilOver()).status, 'completed');
});

void t.test('a daemon that is told to end at the completion', async (t) => {
  const pair = await startPair(t);
  const { status, pageferry } = await migrate(pair, 0);
  t.equal(status, 'completed');
  t.match(await pair.source.stop(), { code: 0 });
  t.equal(processState(pageferry.engine?.pid ?? 0), undefined, 'its engine is gone');
});
