// The socket for a device state: who may find it, who is listened to, how much is taken, and that nothing is left.
import t from 'tap';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { sendState, StateReceiver, withSocketPath, type ReceiveOptions } from '../src/device-state-socket.ts';
import type { GuestHost } from '../src/guest.ts';
import { socketFolder, type Teardown } from './scripted-monitor.ts';

const PID = 7;
const from = (...pids: number[]): GuestHost => ({ peerPid: () => pids.shift() ?? PID });
const OPTIONS: ReceiveOptions = { host: from(), pid: PID, stallMs: 30_000, limitBytes: 8 };

async function receive(
  t: Teardown,
  options: Partial<ReceiveOptions>,
): Promise<{ receiver: StateReceiver; path: string }> {
  const path = join(socketFolder(t), 'state');
  const receiver = await StateReceiver.listen(path, { ...OPTIONS, ...options });
  t.teardown(() => receiver.close());
  return { receiver, path };
}

void t.test('a path that others can use and nobody can find', async (t) => {
  t.plan(5);
  const parent = socketFolder(t);
  const inner = await withSocketPath(async (path) => {
    const outer = dirname(dirname(path));
    t.equal(dirname(outer), parent);
    t.equal(statSync(outer).mode & 0o777, 0o711, 'may be entered, not listed');
    t.equal(statSync(dirname(path)).mode & 0o777, 0o777);
    t.match(basename(dirname(path)), /^[0-9a-f]{32}$/);
    createServer().listen(path).unref();
    return path;
  }, parent);
  t.strictSame([existsSync(inner), readdirSync(parent)], [false, []]);
});

void t.test('it is removed after a failure too, and a path that is too long is refused', async (t) => {
  t.plan(3);
  const parent = socketFolder(t);
  await t.rejects(
    withSocketPath(() => Promise.reject(new Error('no')), parent),
    { message: 'no' },
  );
  const long = t.testdir({ ['x'.repeat(100)]: {} });
  await t.rejects(
    withSocketPath(() => Promise.resolve(), join(long, 'x'.repeat(100))),
    { name: 'GuestError', message: /TMPDIR/ },
  );
  t.strictSame(readdirSync(parent), []);
});

void t.test('bytes in pieces, up to the end', async (t) => {
  t.plan(3);
  const { receiver, path } = await receive(t, {});
  t.notOk(receiver.isConnected);
  const socket = connect(path);
  socket.write('abcd');
  await once(socket, 'connect');
  socket.end('efgh');
  t.strictSame(await receiver.bytes, Buffer.from('abcdefgh'), 'exactly the limit');
  t.ok(receiver.isSettled);
});

void t.test('strangers are not listened to, and do not keep QEMU out', async (t) => {
  t.plan(2);
  const { receiver, path } = await receive(t, { host: from(99) });
  const stranger = connect(path);
  stranger.on('error', () => undefined);
  stranger.write('lies');
  // `once` would reject with the error of a write that came too late.
  await new Promise((resolve) => stranger.once('close', resolve));
  t.notOk(receiver.isConnected);
  connect(path).end('truth');
  t.strictSame(await receiver.bytes, Buffer.from('truth'));
});

void t.test('too much, nothing for long, or an early end is an error', async (t) => {
  t.plan(4);
  const much = await receive(t, {});
  const flood = connect(much.path);
  flood.on('error', () => undefined);
  flood.write('123456789');
  await t.rejects(much.receiver.bytes, {
    name: 'GuestError',
    fault: { code: 'device-state-too-large', limitBytes: 8 },
  });

  const silent = await receive(t, { stallMs: 20 });
  const socket = connect(silent.path);
  t.teardown(() => socket.destroy());
  await t.rejects(silent.receiver.bytes, { name: 'GuestError', message: /sent nothing for 20 ms/ });

  const givenUp = await receive(t, {});
  givenUp.receiver.close();
  await t.rejects(givenUp.receiver.bytes, { name: 'GuestError', message: /given up/ });
  t.ok(givenUp.receiver.isSettled);
});

void t.test('a state is sent to QEMU alone', async (t) => {
  t.plan(3);
  const path = join(socketFolder(t), 'state');
  const server = createServer((socket) => socket.resume()).listen(path);
  t.teardown(() => server.close());
  await once(server, 'listening');
  const bytes = Buffer.from('device state');
  await t.rejects(sendState(path, bytes, { ...OPTIONS, host: from(99) }), {
    name: 'GuestError',
    message: /another process/,
  });
  const connected = once(server, 'connection');
  const end = await sendState(path, bytes, OPTIONS);
  await connected;
  end();
  await t.rejects(sendState(join(path, 'not'), bytes, OPTIONS), {
    name: 'GuestError',
    fault: { code: 'prepare-failed' },
  });
  t.pass('a connection that is ended early is no error');
});
