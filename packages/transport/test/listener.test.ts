import t, { type Test } from 'tap';
import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  encodeDataHello,
  encodeFrame,
  encodePreamble,
  FRAME_TYPE,
  type Frame,
  type FrameHeader,
} from '@pageferry/protocol';
import type { FrameHandler } from '../src/frame-receiver.ts';
import { Listener, type Arrival } from '../src/listener.ts';

const sessionId = new Uint8Array(16).fill(7);

/** Collects frames of any control message; `ended` resolves with the reason. */
function collector(count: number): {
  handler: FrameHandler;
  frames: Promise<Frame[]>;
  ended: Promise<Error>;
} {
  const buffer = new Uint8Array(64 * 1024);
  const collected: Frame[] = [];
  const events = new EventEmitter();
  const frames = once(events, 'enough').then(() => collected);
  const ended = once(events, 'ended').then(([error]): Error => error);
  const handler: FrameHandler = {
    limits: () => ({ [FRAME_TYPE.control]: 64 * 1024 }),
    place: () => buffer,
    received: (header: FrameHeader, payload: Uint8Array) => {
      collected.push({ ...header, payload: Uint8Array.from(payload) });
      if (collected.length === count) events.emit('enough');
    },
    ended: (error) => events.emit('ended', error),
  };
  return { handler, frames, ended };
}

async function listen(
  t: Test,
  onArrival: (arrival: Arrival) => void,
): Promise<{ listener: Listener; refused: Promise<Error>; client: () => Socket }> {
  const events = new EventEmitter();
  const refused = once(events, 'refused').then(([error]): Error => error);
  const listener = await Listener.listen({
    host: '127.0.0.1',
    port: 0,
    onArrival,
    onRefused: (error) => events.emit('refused', error),
  });
  t.teardown(() => listener.close());
  const client = (): Socket => {
    const socket = connect(listener.address.port, '127.0.0.1');
    socket.on('error', () => undefined);
    t.teardown(() => socket.destroy());
    return socket;
  };
  return { listener, refused, client };
}

const control = (payload: Uint8Array): Uint8Array =>
  encodeFrame({ type: FRAME_TYPE.control, epoch: 1, aux: 0, payload });

void t.test('a control connection loses no byte, however it is cut', async (t) => {
  const bytes = Buffer.concat([
    encodePreamble({ kind: 'control', sessionId }),
    control(new Uint8Array(3000).fill(1)),
    control(new Uint8Array(1).fill(2)),
    control(new Uint8Array(60_000).fill(3)),
  ]);
  for (const step of [1, 33, bytes.length]) {
    const { handler, frames } = collector(3);
    const { client } = await listen(t, (arrival) => {
      t.equal(arrival.preamble.kind, 'control');
      t.same(arrival.preamble.sessionId, sessionId);
      arrival.take(handler);
    });
    const socket = client();
    socket.setNoDelay(true);
    const cut = step === 1 ? 40 : bytes.length;
    for (let at = 0; at < cut; at += step) socket.write(bytes.subarray(at, Math.min(at + step, cut)));
    socket.write(bytes.subarray(cut));
    const received = await frames;
    t.same(
      received.map(({ payload }) => [payload.length, payload[0]]),
      [
        [3000, 1],
        [1, 2],
        [60_000, 3],
      ],
      `in steps of ${step}`,
    );
  }
});

void t.test('answers go out on the same connection', async (t) => {
  const { handler } = collector(1);
  const { client } = await listen(t, (arrival) => {
    arrival.take({ ...handler, received: () => undefined }).send(Buffer.from('answer'));
  });
  const socket = client();
  socket.write(encodePreamble({ kind: 'control', sessionId }));
  const answer = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
  t.equal(answer, 'answer');
});

void t.test('a data connection arrives with its data-hello, read no further', async (t) => {
  const session = { sessionKey: new Uint8Array(16).fill(9), sessionId, epoch: 1 };
  const payload = encodeDataHello(session, { stream: 2, streamCount: 3 });
  const events = new EventEmitter();
  const arrived = once(events, 'arrival').then(([arrival]): Arrival => arrival);
  const { client } = await listen(t, (arrival) => events.emit('arrival', arrival));
  const hello = encodeFrame({ type: FRAME_TYPE.dataHello, epoch: 1, aux: 0, payload });
  client().write(Buffer.concat([encodePreamble({ kind: 'data', sessionId }), hello, Buffer.alloc(1000)]));
  const arrival = await arrived;
  t.equal(arrival.preamble.kind, 'data');
  t.same(arrival.dataHello?.payload, payload);
  arrival.refuse();
});

void t.test('strangers are refused with the reason', async (t) => {
  const cases: readonly [string, Uint8Array, RegExp][] = [
    [
      'another protocol',
      Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
      /Pageferry|magic|preamble/i,
    ],
    [
      'a data connection without data-hello',
      Buffer.concat([encodePreamble({ kind: 'data', sessionId }), control(new Uint8Array(36))]),
      /frame/,
    ],
  ];
  for (const [name, bytes, reason] of cases) {
    const { refused, client } = await listen(t, () => t.fail('it must not arrive'));
    client().write(bytes);
    t.match((await refused).message, reason, name);
  }
  const { refused, client } = await listen(t, () => t.fail('it must not arrive'));
  client().end(Buffer.from('PGFY'));
  t.match((await refused).message, /before its preamble/);
});

void t.test('the end of a taken connection is told once, with the reason', async (t) => {
  const { handler, ended } = collector(1);
  const { client } = await listen(t, (arrival) => void arrival.take(handler));
  const socket = client();
  socket.end(encodePreamble({ kind: 'control', sessionId }));
  t.match((await ended).message, /closed/);
});

void t.test('a frame that is not allowed ends the connection', async (t) => {
  const { handler, ended } = collector(1);
  const { client } = await listen(t, (arrival) => void arrival.take(handler));
  const frame = encodeFrame({ type: FRAME_TYPE.dataAccept, epoch: 1, aux: 0, payload: new Uint8Array(4) });
  client().write(Buffer.concat([encodePreamble({ kind: 'control', sessionId }), frame]));
  t.match(await ended, { fault: { code: 'frame-not-allowed' } });
});

void t.test('a port that is taken is said to be', async (t) => {
  const { listener } = await listen(t, () => undefined);
  const { port } = listener.address;
  await t.rejects(
    Listener.listen({ host: '127.0.0.1', port, onArrival: () => undefined, onRefused: () => undefined }),
    {
      message: `cannot listen on 127.0.0.1:${port}: EADDRINUSE`,
    },
  );
});
