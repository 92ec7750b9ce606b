// The relay passes both directions on and keeps them, byte for byte, for each connection by itself.
import t from 'tap';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { parseTcpAddress } from '@pageferry/protocol';
import { captureName, CaptureRelay } from '../src/harness/capture-relay.ts';
import { Child, programPath } from '../src/harness/child.ts';
import { guarded } from '../src/harness/wait.ts';

const HOST = '127.0.0.1';
const PROGRAM = programPath('scripts/dist/src/capture-stream.js');

void t.test('two connections, both directions, a half-closed one', async (t) => {
  // Answers, when the source has ended, with everything twice.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void collect(socket).then((bytes) => socket.end(Buffer.concat([bytes, bytes])));
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  t.teardown(() => server.close());
  const relay = await listenFor(t.testdir(), portOf(server.address()));
  t.teardown(() => relay.close());
  const sent = [Buffer.alloc(3 * 2 ** 20, 'large'), Buffer.from('small')];
  for (const [index, bytes] of sent.entries()) {
    const socket = connectTo(relay);
    socket.end(bytes);
    const answer = await guarded('the answer', collect(socket));
    t.ok(answer.equals(Buffer.concat([bytes, bytes])), 'passed on');
    t.ok(capture(t.testdirName, index + 1, 'source').equals(bytes));
    t.ok(capture(t.testdirName, index + 1, 'destination').equals(answer));
  }
  t.equal(relay.connectionCount, 2);
  const { mode } = statSync(join(t.testdirName, captureName(1, 'source')));
  t.equal(mode & 0o777, 0o600, 'only its owner reads it');
});

void t.test('what came before a cut is kept, and the other end is cut too', async (t) => {
  // Cuts at the first bytes.
  const server = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
  server.listen(0, HOST);
  await once(server, 'listening');
  t.teardown(() => server.close());
  const relay = await listenFor(t.testdir(), portOf(server.address()));
  t.teardown(() => relay.close());
  const socket = connectTo(relay);
  socket.resume().write('half a fra');
  await guarded('the end of the connection', once(socket, 'close'));
  t.equal(capture(t.testdirName, 1, 'source').toString(), 'half a fra');
});

void t.test('nobody listens there', async (t) => {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, 'listening');
  const port = portOf(server.address());
  server.close();
  await once(server, 'close');
  const relay = await listenFor(t.testdir(), port);
  t.teardown(() => relay.close());
  const socket = connectTo(relay).resume();
  await guarded('the end of the connection', once(socket, 'close'));
  t.equal(capture(t.testdirName, 1, 'destination').length, 0);
});

void t.test('an earlier capture is not written over', async (t) => {
  const directory = t.testdir({ 'connection-1-source.bin': 'earlier' });
  await t.rejects(listenFor(directory, 1), /is not empty/);
  t.equal(capture(directory, 1, 'source').toString(), 'earlier');
});

void t.test('the command relays until it is told to end', async (t) => {
  const server = createServer((socket) => socket.end('answer'));
  server.listen(0, HOST);
  await once(server, 'listening');
  t.teardown(() => server.close());
  const to = `--to=tcp:${HOST}:${portOf(server.address())}`;
  const relay = await Child.start(PROGRAM, [to, `--directory=${join(t.testdir(), 'new')}`]);
  t.teardown(() => relay.end('SIGKILL'));
  const uri = await relay.line('its address', (line) => (line.startsWith('tcp:') ? line : undefined));
  const answer = await guarded('the answer', collect(connectTo({ uri })));
  t.equal(answer.toString(), 'answer');
  t.same(await relay.end('SIGTERM'), { code: 0, signal: null });
  t.equal(capture(join(t.testdirName, 'new'), 1, 'destination').toString(), 'answer');
});

void t.test('the command says what is wrong', async (t) => {
  const directory = `--directory=${t.testdir()}`;
  const table = [
    [[directory], /usage/],
    [['--to=tcp:127.0.0.1:1'], /usage/],
    [['--to=127.0.0.1:1', directory], /--to is tcp:HOST:PORT/],
    [['--to=tcp:127.0.0.1:1', '--listen=x', directory], /--listen is tcp:HOST:PORT/],
  ] as const;
  for (const [args, message] of table) {
    const refused = await Child.start(PROGRAM, args);
    t.match(await guarded('the end of the command', refused.ended), { code: 2 });
    t.match(refused.lines.join('\n'), message);
  }
});

async function listenFor(directory: string, port: number): Promise<CaptureRelay> {
  return CaptureRelay.listen({ listen: { host: HOST, port: 0 }, to: { host: HOST, port }, directory });
}

function connectTo({ uri }: { readonly uri: string }): Socket {
  const address = parseTcpAddress(uri);
  if (address === undefined) throw new Error(uri);
  return connect(address).on('error', () => undefined);
}

function capture(directory: string, connection: number, side: 'source' | 'destination'): Buffer {
  return readFileSync(join(directory, captureName(connection, side)));
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function collect(socket: Socket): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('a socket gives bytes');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
