import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { encodeFrame, FRAME_TYPE } from '@pageferry/protocol';
import t, { type Test } from 'tap';
import { FrameSocket } from '../src/frame-socket.ts';

const STALL_MS = 50;
const FRAME = encodeFrame({ type: FRAME_TYPE.control, epoch: 1, aux: 0, payload: new Uint8Array(8) });

async function listen(t: Test): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer();
  t.teardown(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
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
