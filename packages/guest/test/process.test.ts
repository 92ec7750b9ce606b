// A process guest on real processes, and on a fake one where the moment matters.
import t from 'tap';
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { guestFromIdentity, guestFromSpec } from '../src/create.ts';
import { hostProcesses } from '../src/process-state.ts';
import { ProcessGuest } from '../src/process.ts';
import { FakeClock, FakeProcesses, identity, noHost } from './fake-processes.ts';

type Child = ChildProcessByStdio<null, Readable, null>;

/** Node has a dozen tasks; this one says `ready` and then keeps two of them busy. */
const BUSY = `const w = new Worker('for (;;);', { eval: true });
w.on('online', () => { process.stdout.write('ready'); for (;;); });`;

async function startBusy(t: { teardown(end: () => void): void }): Promise<{ child: Child; pid: number }> {
  const script = `const { Worker } = require('node:worker_threads'); ${BUSY}`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return { child, pid: child.pid ?? 0 };
}

void t.test('pauses every task, and resumes', async (t) => {
  t.plan(9);
  const { pid } = await startBusy(t);
  const guest = await guestFromSpec({ type: 'process', pid }, noHost);
  t.equal(guest.type, 'process');
  t.strictSame(await guest.preflight(null), []);
  t.equal(await guest.runState(), 'running');
  await guest.pause();
  t.equal(hostProcesses.summarizeTasks(pid), 'all-stopped');
  t.equal(await guest.runState(), 'paused');
  t.equal(await guest.saveDeviceState(1), null);

  const restored = guestFromIdentity(JSON.parse(JSON.stringify(guest.identity())), noHost);
  t.strictSame(restored.identity(), guest.identity());
  await restored.resume();
  t.equal(await guest.runState(), 'running');
  await restored.resume();
  t.equal(await guest.runState(), 'running', 'resume is idempotent');
});

void t.test('tells a guest that died', async (t) => {
  t.plan(4);
  const { child, pid } = await startBusy(t);
  const guest = await guestFromSpec({ type: 'process', pid }, noHost);
  await guest.pause();
  child.kill('SIGKILL');
  await once(child, 'exit');
  await t.rejects(guest.runState(), { name: 'GuestError', fault: { code: 'ended', pid } });
  await t.rejects(guest.resume(), { name: 'GuestError', fault: { code: 'ended', pid } });
  await t.rejects(guest.pause(), { name: 'GuestError', fault: { code: 'ended', pid } });
  t.strictSame(await guest.preflight(null), [`process ${pid} has ended`]);
});

void t.test('does not touch a process that only has the same pid', async (t) => {
  t.plan(3);
  const { pid } = await startBusy(t);
  const found = (await guestFromSpec({ type: 'process', pid }, noHost)).identity();
  const guest = guestFromIdentity({ ...found, startTime: 1 }, noHost);
  await t.rejects(guest.pause(), { name: 'GuestError', fault: { code: 'recycled', pid } });
  await t.rejects(guest.resume(), { name: 'GuestError', fault: { code: 'recycled', pid } });
  t.equal(hostProcesses.summarizeTasks(pid), 'some-running');
});

void t.test('refuses a pid that nothing has', async (t) => {
  t.plan(1);
  await t.rejects(guestFromSpec({ type: 'process', pid: 4_194_303 }, noHost), {
    name: 'GuestError',
    fault: { code: 'no-such-process' },
  });
});

void t.test('is not paused before the last task is', async (t) => {
  t.plan(2);
  const processes = new FakeProcesses();
  processes.summaries = ['some-running', 'some-running', 'some-running', 'all-stopped'];
  const clock = new FakeClock();
  await new ProcessGuest(identity, processes, clock).pause();
  t.strictSame(processes.signals, [[7, 'SIGSTOP']]);
  t.equal(clock.now(), 2, 'looked again twice after the signal');
});

void t.test('gives up when a task does not stop, and can be undone', async (t) => {
  t.plan(2);
  const processes = new FakeProcesses();
  const guest = new ProcessGuest(identity, processes, new FakeClock(), 50);
  await t.rejects(guest.pause(), {
    name: 'GuestError',
    fault: { code: 'pause-timeout', pid: 7, timeoutMs: 50 },
  });
  await guest.resume();
  t.strictSame(processes.signals, [
    [7, 'SIGSTOP'],
    [7, 'SIGCONT'],
  ]);
});

void t.test('says in words why a process cannot be migrated', async (t) => {
  const own = hostProcesses.identityOf(process.pid) ?? identity;
  const traced = new FakeProcesses();
  traced.tracer = 99;
  const forbidden = new FakeProcesses();
  forbidden.failure = new Error('kill EPERM');
  const ended = new FakeProcesses();
  ended.summaries = ['ended'];
  const table = [
    [own, hostProcesses, /is this daemon/],
    [{ ...identity, pid: 1 }, new FakeProcesses(), /cannot be stopped/],
    [{ ...identity, startTime: 1 }, new FakeProcesses(), /is not the guest/],
    [identity, traced, /traced by process 99/],
    [identity, forbidden, /cannot be signalled/],
    [identity, ended, /has ended/],
  ] as const;
  t.plan(table.length);
  for (const [named, processes, reason] of table) {
    const reasons = await new ProcessGuest(named, processes, new FakeClock()).preflight();
    t.match(reasons.join(), reason);
  }
});

void t.test('is held and released by a signal each, without waiting for proof', async (t) => {
  t.plan(2);
  const processes = new FakeProcesses();
  const clock = new FakeClock();
  const guest = new ProcessGuest(identity, processes, clock);
  await guest.hold();
  await guest.release();
  t.strictSame(processes.signals, [
    [7, 'SIGSTOP'],
    [7, 'SIGCONT'],
  ]);
  t.equal(clock.now(), 0);
});
