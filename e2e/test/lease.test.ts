/**
 * An image that nobody has open needs no scan after the pause, because the kernel's lease says that nobody wrote to it.
 * Whoever does write is let in, and what he wrote is moved.
 */
import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MigrationStatus } from '@pageferry/protocol';
import t, { type Test } from 'tap';
import { DaemonPair } from '../src/daemon-pair.ts';

const MIB = 2 ** 20;
const PAGE_BYTES = 4096;

interface Run {
  readonly pair: DaemonPair;
  readonly from: string;
  readonly start: (parameters?: Record<string, number>) => Promise<void>;
  /** The status at the end, after cmp has found the images identical. */
  readonly end: () => Promise<MigrationStatus>;
}

async function prepare(t: Test): Promise<Run> {
  const pair = await DaemonPair.start();
  t.teardown(() => pair.end());
  const { source, destination, directory } = pair;
  const [from, to] = [join(directory, 'a.ram'), join(directory, 'b.ram')];
  await writeFile(from, randomBytes(16 * MIB));
  const guest = { type: 'none' } as const;
  const id = 'pc.ram';
  return {
    pair,
    from,
    start: async (parameters = {}) => {
      const { uri, token } = await destination.api.incoming({
        listen: 'tcp:127.0.0.1:0',
        blocks: [{ id, path: to, create: true }],
        guest,
      });
      await source.api.migrate({ uri, token, blocks: [{ id, path: from }], guest, parameters });
    },
    end: async () => {
      const status = await source.api.untilOver();
      t.equal(status.status, 'completed', status['error-desc'] ?? 'no error');
      t.equal(spawnSync('cmp', [from, to]).status, 0, 'cmp finds the images identical');
      return status;
    },
  };
}

void t.test('nobody writes: nothing is scanned after the pause', async (t) => {
  const run = await prepare(t);
  await run.start();
  const { pageferry } = await run.end();
  t.match(pageferry.tracker, {
    requested: 'scan',
    type: 'lease',
    'final-scan': false,
    'failed-conditions': [],
  });
  t.same([...pageferry.verified].toSorted(), ['sent-equals-applied', 'source-unwritten']);
  t.match(
    pageferry.rounds.map(({ tracker, candidates, final }) => [tracker, candidates, final]),
    [
      ['scan', (16 * MIB) / PAGE_BYTES, false],
      ['lease', 0, true],
    ],
  );
});

void t.test('somebody writes to what was sent: he is let in, and everything is scanned', async (t) => {
  const run = await prepare(t);
  // The bulk stage takes two seconds.
  await run.start({ 'max-bandwidth': 8 * MIB });
  while ((await run.pair.source.api.status()).pageferry.coverage < 0.5)
    await new Promise((r) => setTimeout(r, 20));
  const file = await open(run.from, 'r+');
  await file.write(randomBytes(PAGE_BYTES), 0, PAGE_BYTES, 7 * PAGE_BYTES);
  await file.close();
  const { pageferry } = await run.end();
  t.match(pageferry.tracker, {
    type: 'scan',
    'final-scan': true,
    'failed-conditions': [/a\.ram: a process opened it for writing/],
  });
  t.ok(pageferry.verified.includes('source-rescanned'));
  t.notOk(pageferry.verified.includes('source-unwritten'));
  t.equal(pageferry.rounds.at(-1)?.normal, 1, 'one page was written');
});

void t.test("the source's own image is refused as such", async (t) => {
  const run = await prepare(t);
  const { source, destination } = run.pair;
  const guest = { type: 'none' } as const;
  const blocks = [{ id: 'pc.ram', path: run.from }];
  const { uri, token } = await destination.api.incoming({ listen: 'tcp:127.0.0.1:0', blocks, guest });
  await t.rejects(source.api.migrate({ uri, token, blocks, guest }), { message: /same-image/ });
});

void t.test('somebody has it open for writing from the beginning: everything is scanned', async (t) => {
  const run = await prepare(t);
  const file = await open(run.from, 'r+');
  t.teardown(() => file.close());
  await run.start();
  const { pageferry } = await run.end();
  t.match(pageferry.tracker, {
    type: 'scan',
    'final-scan': true,
    'failed-conditions': [/a\.ram: a process has it open for writing/],
  });
  t.ok(pageferry.verified.includes('source-rescanned'));
});
