// QMP on a real UNIX socket, with a scripted program at the other end: what comes in pieces, in between, too late, or not.
import t from 'tap';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestHost } from '../src/guest.ts';
import { connectQmp, connectSocket, type QmpClient, type QmpEvent } from '../src/qmp-client.ts';
import { QMP_TIMES } from '../src/qmp-times.ts';
import {
  HANG_UP,
  Refusal,
  ScriptedMonitor,
  SILENCE,
  socketFolder,
  type Teardown,
} from './scripted-monitor.ts';

const host: GuestHost = { peerPid: () => 7 };
const PATIENT = { host };
/** For what is to be given up. */
const SHORT_MS = 40;
const HASTY = { host, times: { ...QMP_TIMES, greetingMs: SHORT_MS, commandMs: SHORT_MS } };

async function monitorOf(t: Teardown): Promise<{ path: string; monitor: ScriptedMonitor }> {
  const path = join(socketFolder(t), 'qmp');
  return { path, monitor: await ScriptedMonitor.listen(t, path) };
}

async function clientOf(t: Teardown, path: string, options = PATIENT): Promise<QmpClient> {
  const client = await connectQmp(path, options);
  t.teardown(() => client.close());
  return client;
}

void t.test('greets, negotiates, asks', async (t) => {
  t.plan(5);
  const { path, monitor } = await monitorOf(t);
  monitor.answers.set('query-status', () => ({ status: 'running' }));
  const client = await clientOf(t, path);
  t.strictSame(client.version, { major: 7, minor: 2, micro: 22 });
  t.equal(client.pid, 7);
  t.strictSame(await client.execute('query-status'), { status: 'running' });
  t.strictSame(monitor.log, ['qmp_capabilities', 'query-status']);
  monitor.answers.set('stop', () => new Refusal('not now', 'DeviceNotActive'));
  await t.rejects(client.execute('stop'), {
    name: 'GuestError',
    message: 'stop failed (DeviceNotActive): not now',
    fault: {
      code: 'command-failed',
      path,
      command: 'stop',
      class: 'DeviceNotActive',
      description: 'not now',
    },
  });
});

void t.test('answers find their questions in whatever order they come', async (t) => {
  t.plan(2);
  const { path, monitor } = await monitorOf(t);
  const second = new EventEmitter();
  monitor.answers.set('first', async () => {
    await once(second, 'answered');
    return 'one';
  });
  monitor.answers.set('second', ({ word }) => word);
  const client = await clientOf(t, path);
  const first = client.execute('first');
  t.equal(await client.execute('second', { word: 'two' }), 'two');
  second.emit('answered');
  t.equal(await first, 'one');
});

void t.test('lines come in any pieces, with events in between', async (t) => {
  t.plan(3);
  const { path, monitor } = await monitorOf(t);
  monitor.answers.set('ask', () => SILENCE);
  const client = await clientOf(t, path);
  const events: QmpEvent[] = [];
  const stopListening = client.onEvent((event) => events.push(event));
  const answer = client.execute('ask');
  const bytes = Buffer.from(
    '{"event":"STOP","timestamp":{}}\r\n\r\n{"return":"Zürich €","id":2}\r\n{"event":"JOB","data":{"n":1}}\r\n',
  );
  // Byte by byte, as slowly as the socket lets each one through.
  for (const byte of bytes) {
    monitor.say(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
  t.equal(await answer, 'Zürich €', 'a character of several bytes is put together');
  const other = client.execute('ask');
  monitor.say('{"return":');
  monitor.say('7,"id":3}\n{"event":"LATE"}\n');
  t.equal(await other, 7);
  await client.execute('gone').catch(() => undefined);
  t.strictSame(events, [{ event: 'STOP' }, { event: 'JOB', data: { n: 1 } }, { event: 'LATE' }]);
  stopListening();
});

void t.test('a monitor that does not greet is in use', async (t) => {
  t.plan(4);
  const { path, monitor } = await monitorOf(t);
  const first = await clientOf(t, path);
  const error = await connectQmp(path, HASTY).catch((reason: unknown) => reason);
  t.match(error, { fault: { code: 'monitor-busy', path, timeoutMs: SHORT_MS } });
  t.match(error, { message: /another client is connected to it \(libvirt/ });
  const next = connectQmp(path, PATIENT);
  first.close();
  const second = await next;
  t.teardown(() => second.close());
  t.ok(second.isOpen, 'whoever waits is served when the first one leaves');
  t.equal(monitor.connectionCount, 3);
});

void t.test('a monitor whose queue is full is in use', async (t) => {
  t.plan(2);
  const path = join(socketFolder(t), 'qmp');
  const listensAndSleeps =
    "require('node:net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => {" +
    "require('node:fs').writeSync(1, 'listening');" +
    'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); })';
  const sleeper = spawn(process.execPath, ['-e', listensAndSleeps, path]);
  t.teardown(() => sleeper.kill('SIGKILL'));
  await once(sleeper.stdout, 'data');
  const error = await fillQueue(t, path);
  t.match(error, { fault: { code: 'monitor-busy', path, timeoutMs: null } });
  t.match(error, { message: /is in use, and the queue of those who wait for it is full/ });
});

/** Connects until that fails: with what. */
async function fillQueue(t: Teardown, path: string): Promise<unknown> {
  for (let count = 0; count < 8; count += 1) {
    try {
      const socket = await connectSocket(path);
      t.teardown(() => socket.destroy());
    } catch (error) {
      return error;
    }
  }
  return undefined;
}

void t.test('a command that is not answered ends the connection, and everything asked on it', async (t) => {
  t.plan(5);
  const { path, monitor } = await monitorOf(t);
  monitor.answers.set('stop', () => SILENCE);
  monitor.answers.set('query-status', () => SILENCE);
  const client = await clientOf(t, path);
  const other = client.execute('query-status');
  const timedOut = client.execute('stop', {}, SHORT_MS);
  await Promise.all([
    t.rejects(timedOut, {
      name: 'GuestError',
      message: `the monitor ${path} did not answer stop within ${SHORT_MS} ms`,
      fault: { code: 'monitor-timeout', path, command: 'stop', timeoutMs: SHORT_MS },
    }),
    t.rejects(other, { name: 'GuestError', fault: { code: 'monitor-lost', path, command: 'query-status' } }),
  ]);
  t.notOk(client.isOpen);
  await t.rejects(client.execute('cont'), {
    name: 'GuestError',
    fault: { code: 'monitor-lost', command: 'cont' },
  });
  t.strictSame(monitor.log, ['qmp_capabilities', 'query-status', 'stop'], 'nothing is said on it any more');
});

void t.test('qmp_capabilities that is not answered is a time-out too', async (t) => {
  t.plan(1);
  const { path, monitor } = await monitorOf(t);
  monitor.answers.set('qmp_capabilities', () => SILENCE);
  await t.rejects(connectQmp(path, HASTY), {
    name: 'GuestError',
    fault: { code: 'monitor-timeout', command: 'qmp_capabilities' },
  });
});

void t.test('the peer goes at each step', async (t) => {
  t.plan(5);
  const { path, monitor } = await monitorOf(t);
  monitor.version = null;
  const greeted = connectQmp(path, PATIENT);
  while (monitor.connectionCount === 0) await new Promise(setImmediate);
  monitor.hangUp();
  await t.rejects(greeted, { name: 'GuestError', fault: { code: 'monitor-lost', path, command: null } });

  monitor.version = { major: 8, minor: 0, micro: 0 };
  monitor.answers.set('qmp_capabilities', () => HANG_UP);
  await t.rejects(connectQmp(path, PATIENT), {
    name: 'GuestError',
    fault: { code: 'monitor-lost', command: 'qmp_capabilities' },
  });

  monitor.answers.set('qmp_capabilities', () => ({}));
  monitor.answers.set('stop', () => HANG_UP);
  const client = await clientOf(t, path);
  const lost = client.execute('stop');
  await t.rejects(lost, {
    name: 'GuestError',
    message: `the connection to the monitor ${path} was lost before it answered stop`,
    fault: { code: 'monitor-lost', command: 'stop' },
  });

  monitor.answers.set('stop', () => SILENCE);
  const another = await clientOf(t, path);
  const cut = another.execute('stop');
  monitor.say('{"return": {}, "id"');
  while (!monitor.log.includes('stop')) await new Promise(setImmediate);
  monitor.hangUp();
  await t.rejects(cut, { name: 'GuestError', fault: { code: 'monitor-lost', command: 'stop' } });
  t.notOk(another.isOpen);
});

void t.test('what is not QMP by the line is refused', async (t) => {
  const table = [
    ['an HMP monitor', "QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ", /HMP.*QEMU 7\.2/],
    ['a pretty-printing one', '{\r\n    "QMP": {\r\n', /pretty/],
    ['another protocol', '{"jsonrpc":"2.0"}\n', /jsonrpc/],
    [
      'an error without an id',
      '{"error":{"class":"GenericError","desc":"JSON parse error"}}\n',
      /parse error/,
    ],
    ['a line without end', 'x'.repeat(4 * 1024 * 1024 + 1), /does not end/],
  ] as const;
  t.plan(table.length);
  for (const [name, text, message] of table) {
    const { path, monitor } = await monitorOf(t);
    monitor.version = null;
    const connecting = connectQmp(path, PATIENT);
    while (monitor.connectionCount === 0) await new Promise(setImmediate);
    monitor.say(text);
    await t.rejects(
      connecting,
      { name: 'GuestError', fault: { code: 'monitor-malformed', path }, message },
      name,
    );
    monitor.close();
  }
});

void t.test('an answer to nothing is dropped', async (t) => {
  t.plan(1);
  const { path, monitor } = await monitorOf(t);
  monitor.answers.set('ask', () => 1);
  const client = await clientOf(t, path);
  monitor.say('{"return":{},"id":99}\r\n');
  t.equal(await client.execute('ask'), 1);
});

void t.test('a monitor that cannot be reached', async (t) => {
  t.plan(4);
  const directory = socketFolder(t);
  writeFileSync(join(directory, 'file'), '');
  const unreachable = (path: string, errno: string) =>
    t.rejects(connectQmp(path, PATIENT), {
      name: 'GuestError',
      fault: { code: 'monitor-unreachable', path, errno },
    });
  await unreachable(join(directory, 'none'), 'ENOENT');
  await unreachable(join(directory, 'file'), 'ECONNREFUSED');
  // The kernel takes 107 bytes; libuv would connect to what is left of a longer one.
  await unreachable(`/tmp/${'x'.repeat(103)}`, 'ENAMETOOLONG');
  const { path } = await monitorOf(t);
  const closed: GuestHost = {
    peerPid() {
      throw new Error('EBADF');
    },
  };
  await t.rejects(connectQmp(path, { host: closed }), {
    name: 'GuestError',
    fault: { code: 'monitor-lost', path },
  });
});
