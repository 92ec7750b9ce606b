// What /proc says, read right: names that look like fields, and the rule when a process counts as stopped.
import t from 'tap';
import { GuestError } from '../src/errors.ts';
import {
  hostProcesses,
  parseStat,
  signalProcess,
  summarizeProcess,
  summarizeStates,
} from '../src/process-state.ts';
import { FakeProcesses, identity } from './fake-processes.ts';

const rest = '1 2 2 0 -1 4194560 99 0 0 0 5 6 7 8 20 0 11 0 4242 1000 200';

void t.test('parses names with spaces and parentheses', (t) => {
  const names = ['node', 'a b', 'x) S 1 1', '((', 'T (T) T'];
  t.plan(names.length);
  for (const name of names)
    t.strictSame(parseStat(`7 (${name}) R ${rest}\n`), { state: 'R', startTime: 4242 });
});

void t.test('refuses what is not a stat line', (t) => {
  t.plan(2);
  t.throws(() => parseStat(''), /not a line/);
  t.throws(() => parseStat('7 (node) R 1 2'), /not a line/);
});

void t.test('summarizes task states', (t) => {
  const table = [
    ['', 'ended'],
    ['Z', 'ended'],
    ['ZX', 'ended'],
    ['T', 'all-stopped'],
    ['TtZX', 'all-stopped'],
    ['TTR', 'some-running'],
    ['TS', 'some-running'],
    ['TD', 'some-running'],
    ['ZR', 'some-running'],
  ] as const;
  t.plan(table.length);
  for (const [states, summary] of table) t.equal(summarizeStates(states.split('')), summary, states);
});

void t.test('reads this process', (t) => {
  t.plan(5);
  const found = hostProcesses.identityOf(process.pid);
  t.equal(found?.pid, process.pid);
  t.equal(hostProcesses.identityOf(process.pid)?.startTime, found?.startTime);
  t.equal(hostProcesses.summarizeTasks(process.pid), 'some-running');
  t.equal(hostProcesses.commandLine(process.pid)?.[0], process.argv0);
  t.equal(hostProcesses.tracerPid(process.pid), 0);
});

void t.test('knows a pid that nothing has', (t) => {
  t.plan(4);
  const free = 4_194_303; // PID_MAX_LIMIT - 1, which a test machine does not reach
  t.equal(hostProcesses.identityOf(free), null);
  t.equal(hostProcesses.commandLine(free), null);
  t.equal(hostProcesses.summarizeTasks(free), 'ended');
  t.equal(summarizeProcess(hostProcesses, { ...identity, pid: free }), 'ended');
});

void t.test('never signals a process that is not the one named', (t) => {
  const table = [
    [{ ...identity, startTime: 1 }, 'recycled'],
    [{ ...identity, bootId: 'another' }, 'recycled'],
    [{ ...identity, pid: 8 }, 'ended'],
  ] as const;
  t.plan(table.length * 3);
  for (const [named, code] of table) {
    const processes = new FakeProcesses();
    const error = t.throws(() => signalProcess(processes, named, 'SIGSTOP'));
    t.equal(error instanceof GuestError && error.fault.code, code);
    t.strictSame(processes.signals, []);
  }
});

void t.test('names a signal that is not permitted', (t) => {
  t.plan(1);
  const processes = new FakeProcesses();
  processes.failure = Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
  t.throws(() => signalProcess(processes, identity, 'SIGSTOP'), {
    name: 'GuestError',
    fault: { code: 'not-permitted', pid: 7, signal: 'SIGSTOP' },
  });
});
