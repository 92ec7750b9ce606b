/** Peers that do not keep to the protocol's version: a source that offers others, a destination that speaks others. */
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { once } from 'node:events';
import {
  CONTROL_LIMITS,
  decodeDestinationMessage,
  decodeOfferedVersions,
  describeProblem,
  DIGEST_SECRET_SIZE_BYTES,
  encodeDestinationMessage,
  encodeFrame,
  encodePreamble,
  encodeSourceMessage,
  FRAME_TYPE,
  FrameSplitter,
  PAGE_SIZE_BYTES,
  parseTcpAddress,
  PREAMBLE_BYTES,
  SUPPORTED_VERSIONS,
  type DestinationMessage,
} from '@pageferry/protocol';
import { guarded } from '@pageferry/scripts/harness';

const SESSION_ID = new Uint8Array(16).fill(7);

/** What a stranger says differently from a source that is one. */
export interface StrangeHello {
  readonly versions?: number[];
  /** The session that the connection's preamble names. */
  readonly preambleSessionId?: Uint8Array;
}

/** Says hello, and gives the destination's first message. */
export async function sayHello(
  uri: string,
  token: string,
  { versions = [...SUPPORTED_VERSIONS], preambleSessionId = SESSION_ID }: StrangeHello,
): Promise<DestinationMessage> {
  const address = parseTcpAddress(uri);
  if (address === undefined) throw new Error(`${uri} is no address`);
  const socket = connect(address);
  const hello = encodeSourceMessage({
    type: 'hello',
    purpose: 'start',
    versions,
    sessionId: SESSION_ID,
    epoch: 1,
    token,
    isResumable: false,
    guestType: 'process',
    pageSize: PAGE_SIZE_BYTES,
    blocks: [{ id: 'pc.ram', sizeBytes: PAGE_SIZE_BYTES }],
    streamCount: 1,
    secret: new Uint8Array(DIGEST_SECRET_SIZE_BYTES),
    xbzrleCacheSizeBytes: 0,
    destinationReread: false,
  });
  socket.write(encodePreamble({ kind: 'control', sessionId: preambleSessionId }));
  socket.write(encodeFrame({ type: FRAME_TYPE.control, epoch: 1, aux: 0, payload: hello }));
  try {
    return await guarded('the answer to hello', firstMessage(socket));
  } finally {
    socket.destroy();
  }
}

/** A destination that speaks version 9999 only: rejects every hello with both lists. */
export async function listenAsNewerDestination(): Promise<{
  readonly uri: string;
  readonly close: () => void;
}> {
  const server: Server = createServer((socket) => {
    const splitter = new FrameSplitter(CONTROL_LIMITS);
    let skipBytes = PREAMBLE_BYTES;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      const frames = chunk.subarray(skipBytes);
      skipBytes = Math.max(0, skipBytes - chunk.length);
      splitter.push(frames, ({ payload }) => {
        const offered = decodeOfferedVersions(payload).join(', ');
        const { status: _, ...problem } = describeProblem(
          'version-mismatch',
          `the source offers versions ${offered}, the destination speaks 9999`,
        );
        const reject = encodeDestinationMessage({
          type: 'reject',
          problem: { ...problem, peer: 'destination' },
          versions: [9999],
        });
        socket.end(encodeFrame({ type: FRAME_TYPE.control, epoch: 1, aux: 0, payload: reject }));
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen');
  return {
    uri: `tcp:127.0.0.1:${(address satisfies AddressInfo).port}`,
    close: () => server.close(),
  };
}

async function firstMessage(bytes: AsyncIterable<Uint8Array>): Promise<DestinationMessage> {
  const splitter = new FrameSplitter(CONTROL_LIMITS);
  const messages: DestinationMessage[] = [];
  for await (const chunk of bytes) {
    splitter.push(chunk, ({ payload }) => messages.push(decodeDestinationMessage(payload)));
    const [first] = messages;
    if (first !== undefined) return first;
  }
  throw new Error('the destination closed the connection without an answer');
}
