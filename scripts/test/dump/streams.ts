/** Streams of both connections and both directions, made with the protocol's encoders, with every type of frame. */
import {
  DIGEST_EXCHANGE,
  encodeDataAccept,
  encodeDataHello,
  encodeDestinationMessage,
  encodeDeviceStatePiece,
  encodeDigestAnswer,
  encodeDigestRequest,
  encodeFrame,
  encodePageRecords,
  encodePreamble,
  encodeSourceMessage,
  encodeStreamRoundEnd,
  FRAME_TYPE,
  PAGES_HEADER_BYTES,
  RECORD_KIND,
  writePagesHeader,
  type DestinationMessage,
  type FrameType,
  type SourceMessage,
} from '@pageferry/protocol';

const EPOCH = 3;
export const sessionId = new Uint8Array(16).fill(0xab);
/** Bytes that no dump may show, in any notation. */
export const SECRETS = {
  token: 'the-one-time-token',
  secret: new Uint8Array(192).fill(0xd1),
  sessionKey: new Uint8Array(16).fill(0xd2),
  proof: new Uint8Array(32).fill(0xd3),
} as const;

const stream = { block: 0, stream: 1 };

export const hello: SourceMessage = {
  type: 'hello',
  versions: [1],
  sessionId,
  epoch: EPOCH,
  purpose: 'start',
  token: SECRETS.token,
  isResumable: true,
  guestType: 'none',
  pageSize: 4096,
  blocks: [{ id: 'pc.ram', sizeBytes: 8 * 2 ** 20 }],
  streamCount: 2,
  secret: SECRETS.secret,
  xbzrleCacheSizeBytes: 4096,
  destinationReread: false,
};

/** Preamble, hello, two pieces of device state, commit. */
export function controlFromSource(): Uint8Array {
  return joined(
    encodePreamble({ kind: 'control', sessionId }),
    fromSource(hello),
    ...[0, 3].map((offsetBytes) =>
      frame(
        FRAME_TYPE.deviceState,
        encodeDeviceStatePiece({ offsetBytes, totalBytes: 6, piece: Uint8Array.of(0xd4, 0xd4, 0xd4) }),
      ),
    ),
    fromSource({ type: 'commit' }),
  );
}

/** Welcome and a round's result. */
export function controlFromDestination(): Uint8Array {
  return joined(
    fromDestination({
      type: 'welcome',
      purpose: 'start',
      version: 1,
      sessionKey: SECRETS.sessionKey,
      hasBase: false,
      xbzrleCacheCeilingBytes: 4096,
    }),
    fromDestination({
      type: 'round-result',
      round: 0,
      roots: [new Uint8Array(16).fill(0x5e)],
      matches: true,
      waitedMs: 0,
    }),
  );
}

/** Preamble, data-hello, a frame with records of every kind, the end of the round, a request for roots. */
export function dataFromSource(): Uint8Array {
  const session = { sessionKey: SECRETS.sessionKey, sessionId, epoch: EPOCH };
  return joined(
    encodePreamble({ kind: 'data', sessionId }),
    frame(FRAME_TYPE.dataHello, encodeDataHello(session, { stream: 1, streamCount: 2 })),
    frame(
      FRAME_TYPE.pages,
      pages([
        { kind: RECORD_KIND.zero, firstPage: 512, count: 500 },
        { kind: RECORD_KIND.normal, firstPage: 3, count: 2, pages: new Uint8Array(8192).fill(0xd5) },
        { kind: RECORD_KIND.xbzrle, firstPage: 7, payload: Uint8Array.of(0, 1, 0xd6) },
        { kind: RECORD_KIND.xbzrle, firstPage: 8, payload: Uint8Array.of(0, 2, 0xd6, 0xd6) },
      ]),
      4,
    ),
    frame(FRAME_TYPE.streamRoundEnd, encodeStreamRoundEnd({ stream: 1, frameCount: 1 }), 4),
    frame(
      FRAME_TYPE.extentRoots,
      encodeDigestRequest({ ...stream, first: 0, count: 2 }),
      DIGEST_EXCHANGE.request,
    ),
  );
}

/** data-accept, and an answer whose second digest is unknown. */
export function dataFromDestination(): Uint8Array {
  const digests = new Uint8Array(32).fill(0x77, 0, 16);
  return joined(
    frame(FRAME_TYPE.dataAccept, encodeDataAccept(1)),
    frame(
      FRAME_TYPE.pageDigests,
      encodeDigestAnswer({ ...stream, first: 40, count: 2, digests }),
      DIGEST_EXCHANGE.answer,
    ),
  );
}

export function fromSource(message: SourceMessage): Uint8Array {
  return frame(FRAME_TYPE.control, encodeSourceMessage(message));
}

export function fromDestination(message: DestinationMessage): Uint8Array {
  return frame(FRAME_TYPE.control, encodeDestinationMessage(message));
}

export function frame(type: FrameType, payload: Uint8Array, aux = 0, epoch = EPOCH): Uint8Array {
  return encodeFrame({ type, epoch, aux, payload });
}

export function pages(records: Parameters<typeof encodePageRecords>[0]): Uint8Array {
  const header = new Uint8Array(PAGES_HEADER_BYTES);
  writePagesHeader(header, 0, stream);
  return joined(header, encodePageRecords(records));
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

/** A copy with one byte changed. */
export function patched(bytes: Uint8Array, offset: number, value: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[offset] = value;
  return copy;
}
