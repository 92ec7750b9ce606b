// The whole workload as it is used: a process that writes, is stopped, whose image is copied as a migration would, and
// an instance that goes on with the copy. Then every way to spoil a copy, each of which the oracle must find.
import t from 'tap';
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess, SpawnSyncReturns } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { checkLog } from '../src/workload/check-log.ts';
import { encodeHeader } from '../src/workload/header.ts';
import { PAGE_BYTES, writeInitialImage } from '../src/workload/initial-image.ts';
import { lanesOf } from '../src/workload/lane.ts';
import type { WorkloadPlan } from '../src/workload/lane.ts';
import { replayAndCompare } from '../src/workload/replay.ts';
import type { Replay } from '../src/workload/replay.ts';

const script = fileURLToPath(new URL('../src/guest-workload.js', import.meta.url));
const pageCount = 300;
const initial = { seed: 9, sizeBytes: pageCount * PAGE_BYTES, zeroShare: 0.3 };
const plan: WorkloadPlan = {
  program: 'both',
  seed: 4,
  range: { first: 20, count: 260 },
  zeroShare: 0.1,
};
const options = ['--program=both', '--seed=4', '--first-page=20', '--pages=260', '--initial-seed=9'];
const args = (image: string, log: string): readonly string[] => [
  script,
  `--image=${image}`,
  `--log=${log}`,
  '--initial-zero-share=0.3',
  ...options,
];

/** Without the test runner's own loaders, which take longer to start than the workload. */
const env = { ...process.env, NODE_OPTIONS: '' };

function runWorkload(...argv: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, argv, { encoding: 'utf8', env });
}

async function replayOf(log: string): Promise<Replay> {
  return { initial, lanes: lanesOf(plan), lastOperations: (await checkLog(log)).lastOperations };
}

/** After SIGSTOP the process may go on for a moment; stopped is when the kernel says so. */
async function stop(child: ChildProcess): Promise<void> {
  child.kill('SIGSTOP');
  while (!/\) T /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'))) await wait(1);
}

for (const how of ['pwrite', 'mapping'])
  void t.test(`goes on where it was stopped, in a copy of the image: ${how}`, async (t) => {
    t.plan(8);
    const [image, copy, log] = ['image', 'copy', 'log'].map((name) => join(t.testdirName, name));
    t.testdir();
    if (image === undefined || copy === undefined || log === undefined) throw new Error('three paths');
    writeInitialImage(image, initial, 'holes');
    const child = spawn(process.execPath, [...args(image, log), `--write-with=${how}`], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(() => child.kill('SIGKILL'));
    const [output]: unknown[] = await once(child.stdout, 'data');
    t.equal(String(output), 'running\n');
    while ((await checkLog(log)).lastOperations.size < 2) await wait(1);
    await stop(child);
    copyFileSync(image, copy);
    t.strictSame(replayAndCompare(copy, await replayOf(log)), [], 'identical at the stop');

    const next = spawn(
      process.execPath,
      [
        ...args(copy, log),
        '--start-at=continue',
        '--instance=destination',
        '--verify=all',
        `--write-with=${how}`,
      ],
      { env, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    t.teardown(() => next.kill('SIGKILL'));
    await once(next.stdout, 'data');
    while (((await checkLog(log)).instances.get('destination') ?? 0) < 100) await wait(1);
    next.kill('SIGTERM');
    const [status]: unknown[] = await once(next, 'exit');
    t.equal(status, 0);
    const report = await checkLog(log);
    t.strictSame(report.problems, []);
    t.strictSame([...report.instances.keys()], ['source', 'destination']);
    t.strictSame(replayAndCompare(copy, await replayOf(log)), [], 'identical at the end');
    t.not(replayAndCompare(image, await replayOf(log)).length, 0, 'the old image is not');

    child.kill('SIGCONT');
    while ((await checkLog(log)).problems.length === 0) await wait(1);
    t.match((await checkLog(log)).problems[0], /double: source wrote after destination had begun/);
  });

void t.test('the oracle finds every way to spoil a page', async (t) => {
  t.testdir();
  const image = join(t.testdirName, 'image');
  const log = join(t.testdirName, 'log');
  writeInitialImage(image, initial, 'holes');
  runWorkload(...args(image, log), '--rate=0', '--operations=3000');
  const replay = await replayOf(log);
  const [docs, random] = replay.lanes;
  if (docs === undefined || random === undefined) throw new Error('two lanes');
  const table = [
    ['before the range', 3, /never written; differs at byte 100/],
    ['behind the range', 299, /never written/],
    ['docs lane', docs.pageOf(3000), /last written by docs 3000/],
    ['random lane', random.pageOf(3000), /last written by random 3000/],
    ['docs header', docs.headerPage, /differs after the header/],
    ['random header', random.headerPage, /differs after the header/],
  ] as const;
  t.plan(table.length * 2 + 2);
  t.strictSame(replayAndCompare(image, replay), []);
  for (const [name, page, reason] of table) {
    const copy = join(t.testdirName, 'copy');
    copyFileSync(image, copy);
    flipByte(copy, page * PAGE_BYTES + 100);
    const mismatches = replayAndCompare(copy, replay);
    t.strictSame(
      mismatches.map((mismatch) => mismatch.page),
      [page],
      name,
    );
    t.match(mismatches[0]?.reason, reason);
  }
  t.throws(() => replayAndCompare(log, replay), /expected are/);
});

void t.test('only the next operation may be half done', async (t) => {
  t.plan(7);
  t.testdir();
  const image = join(t.testdirName, 'image');
  const log = join(t.testdirName, 'log');
  writeInitialImage(image, initial, 'holes');
  runWorkload(...args(image, log), '--rate=0', '--operations=1000');
  const replay = await replayOf(log);
  const [docs] = replay.lanes;
  if (docs === undefined) throw new Error('a lane');
  const file = openSync(image, 'r+');
  const start = docs.pageOf(1001) * PAGE_BYTES;
  for (const write of docs.writesOf(1001)) {
    writeSync(file, write.bytes, 0, write.bytes.length, start + write.offsetBytes);
    t.strictSame(replayAndCompare(image, replay), []);
  }
  writeSync(file, encodeHeader(docs, 1001), 0, 32, docs.headerPage * PAGE_BYTES);
  t.strictSame(replayAndCompare(image, replay), [], 'the header is ahead of the log');
  writeSync(file, encodeHeader(docs, 1002), 0, 32, docs.headerPage * PAGE_BYTES);
  t.match(replayAndCompare(image, replay)[0]?.reason, /counter is 1002, its log ends at 1000/);
  const [write] = docs.writesOf(1002);
  if (write !== undefined) writeSync(file, write.bytes, 0, 1, docs.pageOf(1002) * PAGE_BYTES);
  t.equal(replayAndCompare(image, replay).length, 2, 'nor the operation after the next');
});

void t.test('an instance does not go on with a wrong image', async (t) => {
  t.testdir();
  const image = join(t.testdirName, 'image');
  const old = join(t.testdirName, 'old');
  const log = join(t.testdirName, 'log');
  writeInitialImage(image, initial, 'holes');
  runWorkload(...args(image, log), '--rate=0', '--operations=500');
  copyFileSync(image, old);
  runWorkload(...args(image, log), '--rate=0', '--operations=1000', '--start-at=continue');
  const replay = await replayOf(log);
  const lane = replay.lanes[1];
  if (lane === undefined) throw new Error('a lane');
  const lost = join(t.testdirName, 'lost');
  copyFileSync(image, lost);
  flipByte(lost, lane.pageOf(1000) * PAGE_BYTES);
  const blank = join(t.testdirName, 'blank');
  writeInitialImage(blank, initial, 'holes');
  const table = [
    ['older', old, /lane’s counter is 500, its log ends at 1000/],
    ['blank', blank, /has no magic/],
    ['lost write', lost, /page \d+: last written by random 1000/],
  ] as const;
  t.plan(table.length * 3 + 1);
  t.strictSame((await checkLog(log)).problems, []);
  for (const [name, path, reason] of table) {
    const copiedLog = join(t.testdirName, `${name}.log`);
    copyFileSync(log, copiedLog);
    const result = runWorkload(...args(path, copiedLog), '--start-at=continue', '--instance=b');
    t.equal(result.status, 1, name);
    t.match(result.stderr, reason);
    t.match((await checkLog(copiedLog)).problems[0], /b failed: /);
  }
});

void t.test('the command line says what is wrong', (t) => {
  t.testdir();
  const image = join(t.testdirName, 'image');
  writeInitialImage(image, { ...initial, sizeBytes: 4 * PAGE_BYTES }, 'holes');
  const table = [
    [[], /--image is missing/],
    [['--image=/nonexistent'], /ENOENT/],
    [[`--image=${image}`, '--pages=5'], /has only 4 pages/],
    [[`--image=${image}`, '--program=other'], /docs or random or both/],
    [[`--image=${image}`, '--rate=-1'], /whole number/],
    [[`--image=${image}`, '--zero-share=1.5'], /between 0 and 1/],
    [[`--image=${image}`, '--start-at=end'], /fresh or continue/],
    [[`--image=${image}`, '--unknown'], /unknown/i],
    [[`--image=${image}`, `--log=${image}.log`, '--instance=a b'], /one word/],
  ] as const;
  t.plan(table.length * 2);
  for (const [argv, message] of table) {
    const result = runWorkload(script, ...argv);
    t.equal(result.status, 2);
    t.match(result.stderr, message);
  }
});

function flipByte(path: string, offset: number): void {
  const file = openSync(path, 'r+');
  const byte = new Uint8Array(1);
  readSync(file, byte, 0, 1, offset);
  byte[0] = (byte[0] ?? 0) ^ 0x80;
  writeSync(file, byte, 0, 1, offset);
}
