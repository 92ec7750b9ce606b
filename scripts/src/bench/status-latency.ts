// How long GET /status takes while a migration runs at full speed: another process asks every 2 ms on one connection.
import { rmSync } from 'node:fs';
import { Child, programPath } from '../harness/child.ts';
import { makeImage } from '../harness/guest.ts';
import { arm, awaitCompleted } from '../harness/migration.ts';
import type { BenchOptions } from './options.ts';
import { formatTable, formatTarget, percentile } from './figures.ts';
import { requestFor, warmMemory, withDaemons } from './setting.ts';

const POLLER = programPath('scripts/dist/src/bench/status-poller.js');
const INTERVAL_MS = 2;
/** The benchmark itself only waits for the end. */
const WAIT_POLL_MS = 200;
const WORST_MS = 20;

/** Prints a table; answers whether the target is met. */
export async function benchStatus({ sizeBytes, pairCount }: BenchOptions): Promise<boolean> {
  const latencies: number[] = [];
  await withDaemons(3 * sizeBytes, async ({ workspace, daemons }) => {
    const from = workspace.file('a.ram');
    const to = workspace.file('b.ram');
    await makeImage(from, { seed: 1, sizeBytes, zeroShare: 0 });
    for (let run = 0; run < pairCount; run += 1) {
      warmMemory(workspace, sizeBytes);
      const body = await arm(daemons, requestFor(from, to, null));
      const poller = await Child.start(POLLER, [daemons.source.api.origin, String(INTERVAL_MS)]);
      workspace.onClose(() => poller.end('SIGKILL'));
      await poller.line('its first answer', (line) => (line === 'polling' ? true : undefined));
      await daemons.source.api.migrate(body);
      await awaitCompleted(daemons, WAIT_POLL_MS);
      await poller.succeed();
      latencies.push(...readLatencies(poller.lines.at(-1) ?? ''));
      rmSync(to);
    }
  });
  return report(latencies, sizeBytes, pairCount);
}

function readLatencies(line: string): readonly number[] {
  const values: unknown = JSON.parse(line);
  if (Array.isArray(values) && values.every((value): value is number => typeof value === 'number'))
    return values;
  throw new Error(`the poller printed ${line}`);
}

function report(latencies: readonly number[], sizeBytes: number, runCount: number): boolean {
  const ms = (share: number) => percentile(latencies, share).toFixed(2);
  process.stdout.write(
    `status: GET /status of the source every ${INTERVAL_MS} ms by another process during ${runCount} migrations of ` +
      `${sizeBytes / 2 ** 20} MiB at full speed, milliseconds\n` +
      formatTable([
        ['answers', 'p50', 'p90', 'p99', 'most'],
        [String(latencies.length), ms(0.5), ms(0.9), ms(0.99), ms(1)],
      ]),
  );
  const isMet = percentile(latencies, 0.99) <= WORST_MS;
  process.stdout.write(
    formatTarget({ text: `99 of 100 answers within ${WORST_MS} ms: ${ms(0.99)} ms`, isMet }),
  );
  return isMet;
}
