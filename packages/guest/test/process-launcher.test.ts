// The destination's process guest on real processes: it exists stopped, starts when told, and what is said of its start
// is proven. Every ending is also looked at by an object that knows only the identity, as a restarted daemon does.
import t from 'tap';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { incomingGuest, incomingGuestFromIdentity } from '../src/create.ts';
import type { IncomingGuest, IncomingGuestIdentity } from '../src/guest.ts';
import { PreparedProcess } from '../src/prepared-process.ts';
import { hostProcesses } from '../src/process-state.ts';
import { FakeClock, FakeProcesses, noHost } from './fake-processes.ts';

type ProcessGuestIdentity = Extract<IncomingGuestIdentity, { type: 'process' }>;
type Test = { testdir(): string; teardown(end: () => unknown): void };

const FIRST = { isFirstOrder: true };
const ENDED = { outcome: 'running', note: 'the guest started, and has ended already' };
const UNTOUCHED = { outcome: 'refused', reason: 'the guest ended before it was told to start' };

function guestOf(directory: string, ...command: readonly string[]): IncomingGuest {
  return incomingGuest({ type: 'process', command: 'it' }, { it: command }, directory, noHost);
}

async function prepare(t: Test, guest: IncomingGuest): Promise<ProcessGuestIdentity> {
  const identity = await guest.prepare(null);
  if (identity.type !== 'process') throw new Error('not a process');
  t.teardown(() => incomingGuestFromIdentity(identity, noHost).destroy());
  return identity;
}

/** An executable script; the kernel answers ENOENT when its interpreter is missing. */
function script(directory: string, firstLine: string, mode = 0o755): string {
  const path = join(directory, 'command');
  writeFileSync(path, `${firstLine}\necho ran\n`);
  chmodSync(path, mode);
  return path;
}

void t.test('exists stopped, and executes when told', async (t) => {
  t.plan(7);
  const guest = guestOf(t.testdir(), 'sleep', '1000');
  t.strictSame(await guest.preflight(), []);
  const identity = await prepare(t, guest);
  t.equal(hostProcesses.summarizeTasks(identity.pid), 'all-stopped');
  t.equal(hostProcesses.commandLine(identity.pid)?.[0], '/bin/sh');
  t.strictSame(await guest.resume(FIRST), { outcome: 'running', note: null });
  t.strictSame(hostProcesses.commandLine(identity.pid), ['sleep', '1000']);
  t.strictSame(await guest.resume(FIRST), { outcome: 'running', note: null }, 'resume is idempotent');
  await guest.destroy();
  t.equal(hostProcesses.summarizeTasks(identity.pid), 'ended');
});

void t.test('an identity out of a journal is enough', async (t) => {
  t.plan(4);
  const guest = guestOf(t.testdir(), 'sleep', '1000');
  const identity = await prepare(t, guest);
  const restored = incomingGuestFromIdentity(JSON.parse(JSON.stringify(identity)), noHost);
  t.strictSame(await restored.resume(FIRST), { outcome: 'running', note: null });
  t.strictSame(hostProcesses.commandLine(identity.pid), ['sleep', '1000']);
  await restored.destroy();
  await restored.destroy();
  t.equal(hostProcesses.summarizeTasks(identity.pid), 'ended', 'destroy is idempotent');
  t.strictSame(await restored.resume(FIRST), ENDED, 'it did run once');
});

void t.test('outlives the daemon, stopped', async (t) => {
  t.plan(3);
  const create = new URL('../src/create.js', import.meta.url).href;
  const daemon = `const { incomingGuest } = await import(${JSON.stringify(create)});
    const guest = incomingGuest({ type: 'process', command: 'it' }, { it: ['sleep', '1000'] }, ${JSON.stringify(t.testdir())}, { peerPid: () => 0 });
    console.log(JSON.stringify(await guest.prepare(null)));
    process.kill(process.pid, 'SIGKILL');`;
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', daemon], { encoding: 'utf8' });
  t.equal(result.signal, 'SIGKILL');
  const identity = JSON.parse(result.stdout);
  const restored = incomingGuestFromIdentity(identity, noHost);
  t.teardown(() => restored.destroy());
  t.equal(hostProcesses.summarizeTasks(identity.pid), 'all-stopped');
  t.strictSame(await restored.resume(FIRST), { outcome: 'running', note: null });
});

void t.test('a failure to execute is refused', async (t) => {
  const table = [
    ['interpreter missing', '#!/nonexistent/interpreter', () => {}, 127],
    ['removed after it was prepared', '#!/bin/sh', unlinkSync, 127],
    ['no longer executable', '#!/bin/sh', (path: string) => chmodSync(path, 0o644), 126],
  ] as const;
  t.plan(table.length * 3);
  for (const [name, firstLine, spoil, status] of table) {
    const directory = t.testdir();
    const path = script(directory, firstLine);
    const guest = guestOf(directory, path);
    const identity = await prepare(t, guest);
    spoil(path);
    const reason = `the guest command could not be executed (status ${status})`;
    t.strictSame(await guest.resume(FIRST), { outcome: 'refused', reason }, name);
    t.strictSame(await incomingGuestFromIdentity(identity, noHost).resume(FIRST), {
      outcome: 'refused',
      reason,
    });
    t.notMatch(readFileSync(identity.logPath, 'utf8'), /ran/);
  }
});

void t.test('a guest that ended before the order never ran', async (t) => {
  t.plan(3);
  const guest = guestOf(t.testdir(), 'sleep', '1000');
  const identity = await prepare(t, guest);
  await guest.destroy();
  t.strictSame(await guest.resume(FIRST), UNTOUCHED);
  t.strictSame(await incomingGuestFromIdentity(identity, noHost).resume(FIRST), UNTOUCHED);
  const other = { ...identity, startTime: identity.startTime + 1 };
  t.strictSame(
    await incomingGuestFromIdentity(other, noHost).resume(FIRST),
    UNTOUCHED,
    'nor when its pid is another’s',
  );
});

void t.test('a guest that executed and ended counts as run', async (t) => {
  t.plan(3);
  const directory = t.testdir();
  const guest = guestOf(directory, script(directory, '#!/bin/sh'));
  const identity = await prepare(t, guest);
  t.equal((await guest.resume(FIRST)).outcome, 'running');
  const ended = spawn('tail', [`--pid=${identity.pid}`, '-s0.01', '-f', '/dev/null']);
  await once(ended, 'exit');
  t.strictSame(await incomingGuestFromIdentity(identity, noHost).resume(FIRST), ENDED);
  t.equal(readFileSync(identity.logPath, 'utf8'), 'ran\n');
});

void t.test('what is not proven counts as run', async (t) => {
  t.plan(3);
  const guest = guestOf(t.testdir(), 'sleep', '1000');
  const identity = await prepare(t, guest);
  await guest.destroy();
  const rebooted = new PreparedProcess({ ...identity, bootId: 'earlier' }, hostProcesses, new FakeClock());
  t.match(await rebooted.resume(), { outcome: 'running', note: /host was restarted/ });
  unlinkSync(identity.recordPath);
  t.match(await guest.resume(FIRST), { outcome: 'running', note: /is unknown: .*ENOENT/ });
  writeFileSync(identity.recordPath, 'prep');
  t.strictSame(await guest.resume(FIRST), ENDED, 'a record that makes no sense');
});

void t.test('a command that cannot be executed fails before the handover', async (t) => {
  const directory = t.testdir();
  const table = [
    [[], /command is empty/],
    [['/nonexistent/program'], /is not an executable file/],
    [['no-such-program-anywhere'], /is not an executable file/],
    [[directory], /is not an executable file/],
    [[script(t.testdir({ a: {} }), 'echo', 0o755)], /neither an ELF program nor a script/],
    [['sleep', 'a\0b'], /zero byte/],
  ] as const;
  t.plan(table.length * 2);
  for (const [command, reason] of table) {
    const guest = guestOf(directory, ...command);
    t.match((await guest.preflight()).join(), reason);
    await t.rejects(guest.prepare(null), { name: 'GuestError', fault: { code: 'prepare-failed', reason } });
  }
});

void t.test('says so when told to do what it cannot', async (t) => {
  t.plan(5);
  const guest = guestOf(t.testdir(), 'sleep', '1000');
  await t.rejects(guest.resume(FIRST), { name: 'GuestError', fault: { code: 'not-prepared' } });
  await guest.destroy();
  const state = { format: 'qemu', bytes: new Uint8Array(1) };
  await t.rejects(guest.prepare(state), { name: 'GuestError', fault: { code: 'device-state-refused' } });
  const identity = await prepare(t, guest);
  await t.rejects(guest.prepare(null), { name: 'GuestError', fault: { code: 'prepare-failed' } });
  await t.rejects(incomingGuestFromIdentity(identity, noHost).prepare(null), {
    name: 'GuestError',
    fault: { code: 'prepare-failed' },
  });
  t.throws(() => incomingGuest({ type: 'process', command: 'toString' }, { a: [], b: [] }, '/', noHost), {
    name: 'GuestError',
    fault: { code: 'command-unknown', command: 'toString', known: ['a', 'b'] },
  });
});

void t.test('gives up on a guest that neither executes nor ends', async (t) => {
  t.plan(2);
  const identity = {
    type: 'process',
    pid: 7,
    startTime: 4242,
    bootId: 'boot',
    recordPath: '/r',
    logPath: '/l',
  } as const;
  const processes = new FakeProcesses();
  processes.arguments = ['/bin/sh', '-c', '', 'pageferry-guest', '/r', 'sleep'];
  const guest = new PreparedProcess(identity, processes, new FakeClock());
  await t.rejects(guest.resume(), { name: 'GuestError', fault: { code: 'start-timeout', pid: 7 } });
  await t.rejects(guest.destroy(), { name: 'GuestError', fault: { code: 'kill-timeout', pid: 7 } });
});
