import koffi from 'koffi';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { encodeFrame, FRAME_TYPE } from '@pageferry/protocol';
import t, { type Test } from 'tap';
import { FrameSocket } from '../src/frame-socket.ts';

const STALL_MS = 50;
const FRAME = encodeFrame({ type: FRAME_TYPE.control, epoch: 1, aux: 0, payload: new Uint8Array(8) });

/** /proc/net/tcp's number of that state. */
const ESTABLISHED = '01';
const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;
const getsockopt = koffi
  .load(null)
  .func('int getsockopt(int fd, int level, int option, void *value, _Inout_ uint32_t *length)');

async function listen(
  t: Test,
  host = '127.0.0.1',
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer();
  t.teardown(() => server.close());
  await once(server.listen(0, host), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return { server, port: address.port };
}

const cases: readonly (readonly [name: string, byteCount: number, isStalled: boolean])[] = [
  ['a header that stops half-way', 7, true],
  ['a payload that stops half-way', FRAME.length - 1, true],
  ['a payload that does not begin', 16, true],
  ['a whole frame, and silence', FRAME.length, false],
];

for (const [name, byteCount, isStalled] of cases) {
  void t.test(name, async (t) => {
    const { server, port } = await listen(t);
    const accepted = once(server, 'connection');
    let frameCount = 0;
    const ended = new Promise<Error>((resolve) => {
      const buffer = new Uint8Array(64);
      const socket = FrameSocket.connect(
        { host: '127.0.0.1', port },
        {
          limits: () => ({ [FRAME_TYPE.control]: 64 }),
          place: () => buffer,
          received: () => (frameCount += 1),
          ended: resolve,
        },
        () => socket.endWhenStalled(STALL_MS),
      );
    });
    const [peer] = await accepted;
    t.teardown(() => peer.destroy());
    peer.write(FRAME.subarray(0, byteCount));
    // Where it is not the standstill that ends the connection, the peer does, well after that time.
    const timer = setTimeout(() => peer.end(), isStalled ? 30_000 : 4 * STALL_MS);
    t.teardown(() => clearTimeout(timer));
    t.match((await ended).message, isStalled ? /stopped half-way for 50 ms/ : /the peer closed it/);
    t.equal(frameCount, isStalled ? 0 : 1);
  });
}

const hosts: readonly (readonly [name: string, host: string, isOneHost: boolean])[] = [
  ['a connection within one host is not paced', '127.0.0.1', true],
  ['a connection to another address keeps its congestion control', '127.0.0.2', false],
];

for (const [name, host, isOneHost] of hosts) {
  void t.test(name, async (t) => {
    const { server, port } = await listen(t, host);
    const accepted = once(server, 'connection');
    const handler = { limits: () => ({}), place: () => new Uint8Array(), received: () => 0, ended: () => 0 };
    const left = new Promise<FrameSocket>((resolve) => {
      const socket = FrameSocket.connect({ host, port }, handler, () => {
        const before = congestionControlTo(port);
        socket.leavePacing();
        t.equal(congestionControlTo(port), isOneHost ? 'reno' : before);
        resolve(socket);
      });
    });
    const [peer] = await accepted;
    const socket = await left;
    peer.destroy();
    socket.destroy();
  });
}

/** Of this process's connection to the port, by another way than the code that chooses it. */
function congestionControlTo(port: number): string {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const line = readFileSync('/proc/self/net/tcp', 'utf8')
    .split('\n')
    .map((text) => text.trim().split(/\s+/))
    .find(([, , remote, state]) => remote?.endsWith(`:${hex}`) && state === ESTABLISHED);
  const fd = readdirSync('/proc/self/fd').find((name) => linkOf(name) === `socket:[${line?.[9]}]`);
  const value = Buffer.alloc(16);
  getsockopt(Number(fd), IPPROTO_TCP, TCP_CONGESTION, value, [value.length]);
  return value.toString('latin1', 0, value.indexOf(0));
}

function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The descriptor by which the directory was read.
    return undefined;
  }
}
