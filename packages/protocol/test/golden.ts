/**
 * What the hex examples of docs/PROTOCOL.md mean, by their names: a value, and how this package makes and reads its
 * bytes. Used by golden.test.ts for both directions.
 */
import type { DestinationMessage, HelloStart, SourceMessage, WireProblem } from '../src/control-message.ts';
import {
  decodeDestinationMessage,
  decodeSourceMessage,
  encodeDestinationMessage,
  encodeSourceMessage,
} from '../src/control-codec.ts';
import {
  checkDataAccept,
  decodeDataHello,
  decodeStreamRoundEnd,
  encodeDataAccept,
  encodeDataHello,
  encodeStreamRoundEnd,
} from '../src/data-hello.ts';
import { decodeDeviceStatePiece, encodeDeviceStatePiece } from '../src/device-state-frame.ts';
import {
  decodeDigestAnswer,
  decodeDigestRequest,
  DIGEST_EXCHANGE,
  encodeDigestAnswer,
  encodeDigestRequest,
} from '../src/digest-frames.ts';
import {
  CONTROL_LIMITS,
  DATA_LIMITS_AT_DESTINATION,
  DATA_LIMITS_AT_SOURCE,
  DATA_LIMITS_BEFORE_ACCEPT,
  encodeFrame,
  FRAME_TYPE,
  type FrameLimits,
  type FrameType,
} from '../src/frame.ts';
import { FrameSplitter } from '../src/frame-splitter.ts';
import { encodePageRecords } from '../src/page-records-encoder.ts';
import {
  decodePagesHeader,
  PAGES_HEADER_BYTES,
  PageRecordTable,
  RECORD_KIND,
  writePagesHeader,
} from '../src/page-records.ts';
import { decodePreamble, encodePreamble } from '../src/preamble.ts';
import { helloProof } from '../src/proof.ts';

export interface Example {
  readonly value: unknown;
  readonly encode: () => Uint8Array;
  readonly decode: (bytes: Uint8Array) => unknown;
}

const EPOCH = 1;
const countingBytes = (first: number, length: number) =>
  Uint8Array.from({ length }, (_, index) => first + index);
const sessionId = countingBytes(0x01, 16);
const session = { sessionKey: countingBytes(0xf0, 16), sessionId, epoch: EPOCH };
const rootA = countingBytes(0xa0, 16);
const rootB = countingBytes(0xb0, 16);
const problem: WireProblem = {
  type: 'urn:pageferry:problem:token-refused',
  title: 'The token is not the armed one',
  detail: 'The destination is armed with another token.',
  peer: 'destination',
  retryable: false,
};

/** What every attempt is made from. */
const attempt = {
  guestType: 'process',
  pageSize: 4096,
  blocks: [{ id: 'pc.ram', sizeBytes: 8589934592 }],
  streamCount: 2,
  secret: countingBytes(0x20, 192),
  xbzrleCacheSizeBytes: 67108864,
  destinationReread: true,
  imageIdentities: [{ hostBootId: 'b0071d', device: '28', inode: '9007199254740993' }],
} satisfies Partial<HelloStart>;

/** All examples, by name. */
export const goldenExamples: ReadonlyMap<string, Example> = new Map<string, Example>([
  ['preamble-control', preambleExample('control')],
  ['preamble-data', preambleExample('data')],
  ['frame-data-hello', dataHelloExample()],
  ['frame-data-accept', dataAcceptExample()],
  ['frame-pages', pagesExample()],
  ['frame-stream-round-end', streamRoundEndExample()],
  ['frame-device-state', deviceStateExample()],
  ['frame-extent-roots-request', digestRequestExample(FRAME_TYPE.extentRoots)],
  ['frame-page-digests-answer', digestAnswerExample()],
  ['frame-ping', pingExample()],
  ...sourceExamples(),
  ...destinationExamples(),
  ['root-mix', rootMixExample()],
]);

function preambleExample(kind: 'control' | 'data'): Example {
  const value = { kind, sessionId };
  return { value, encode: () => encodePreamble(value), decode: decodePreamble };
}

function dataHelloExample(): Example {
  const facts = { stream: 1, streamCount: 2 };
  return {
    value: 1,
    encode: () => frame(FRAME_TYPE.dataHello, encodeDataHello(session, facts)),
    decode: (bytes) => decodeDataHello(payloadOf(bytes, DATA_LIMITS_BEFORE_ACCEPT), session, 2),
  };
}

function dataAcceptExample(): Example {
  return {
    value: undefined,
    encode: () => frame(FRAME_TYPE.dataAccept, encodeDataAccept(1)),
    decode: (bytes) => checkDataAccept(payloadOf(bytes, DATA_LIMITS_AT_SOURCE), 1),
  };
}

function pagesExample(): Example {
  const records = [
    { kind: RECORD_KIND.zero, firstPage: 512, count: 512 },
    { kind: RECORD_KIND.xbzrle, firstPage: 7, payload: Uint8Array.of(0x00, 0x01, 0x2a) },
  ] as const;
  return {
    value: {
      header: { block: 0, stream: 1 },
      records: [
        { kind: RECORD_KIND.zero, firstPage: 512, count: 512, payload: new Uint8Array(0) },
        { kind: RECORD_KIND.xbzrle, firstPage: 7, count: 1, payload: Uint8Array.of(0x00, 0x01, 0x2a) },
      ],
    },
    encode: () => {
      const encoded = encodePageRecords(records);
      const payload = new Uint8Array(PAGES_HEADER_BYTES + encoded.length);
      writePagesHeader(payload, 0, { block: 0, stream: 1 });
      payload.set(encoded, PAGES_HEADER_BYTES);
      return frame(FRAME_TYPE.pages, payload, 1);
    },
    decode: (bytes) => {
      const payload = payloadOf(bytes, DATA_LIMITS_AT_DESTINATION);
      const header = decodePagesHeader(payload, { stream: 1, blockCount: 1 });
      return { header, records: decodeRecords(payload, PAGES_HEADER_BYTES, 1024) };
    },
  };
}

/** The records of a payload as objects, for comparing. */
export function decodeRecords(payload: Uint8Array, recordsOffset: number, localPageLimit: number) {
  const table = new PageRecordTable();
  table.decode(payload, recordsOffset, localPageLimit);
  return Array.from({ length: table.length }, (_, index) => ({
    kind: table.kind(index),
    firstPage: table.firstPage(index),
    count: table.count(index),
    payload: Uint8Array.from(
      payload.subarray(table.payloadOffset(index), table.payloadOffset(index) + table.payloadLength(index)),
    ),
  }));
}

function streamRoundEndExample(): Example {
  const value = { stream: 1, frameCount: 300 };
  return {
    value,
    encode: () => frame(FRAME_TYPE.streamRoundEnd, encodeStreamRoundEnd(value), 1),
    decode: (bytes) => decodeStreamRoundEnd(payloadOf(bytes, DATA_LIMITS_AT_DESTINATION)),
  };
}

function deviceStateExample(): Example {
  const value = { offsetBytes: 0, totalBytes: 5, piece: Uint8Array.of(1, 2, 3, 4, 5) };
  return {
    value,
    encode: () => frame(FRAME_TYPE.deviceState, encodeDeviceStatePiece(value)),
    decode: (bytes) => decodeDeviceStatePiece(payloadOf(bytes, CONTROL_LIMITS), 0),
  };
}

function digestRequestExample(type: FrameType): Example {
  const value = { block: 0, stream: 1, first: 0, count: 256 };
  return {
    value,
    encode: () => frame(type, encodeDigestRequest(value), DIGEST_EXCHANGE.request),
    decode: (bytes) =>
      decodeDigestRequest(payloadOf(bytes, DATA_LIMITS_AT_DESTINATION), {
        stream: 1,
        blockCount: 1,
        limitOf: () => 256,
      }),
  };
}

function digestAnswerExample(): Example {
  const range = { block: 0, stream: 1, first: 1024, count: 2 };
  const value = { ...range, digests: Uint8Array.of(...rootA, ...rootB) };
  return {
    value,
    encode: () => frame(FRAME_TYPE.pageDigests, encodeDigestAnswer(value), DIGEST_EXCHANGE.answer),
    decode: (bytes) => decodeDigestAnswer(payloadOf(bytes, DATA_LIMITS_AT_SOURCE), range),
  };
}

function pingExample(): Example {
  const value = { type: 'ping', sequence: 7 } as const;
  return {
    value,
    encode: () => frame(FRAME_TYPE.control, encodeSourceMessage(value)),
    decode: (bytes) => decodeSourceMessage(payloadOf(bytes, CONTROL_LIMITS)),
  };
}

/** Every message of the source, in the order of the table in docs/PROTOCOL.md. */
export function sourceMessages(): ReadonlyMap<string, SourceMessage> {
  return new Map<string, SourceMessage>([
    [
      'hello-start',
      {
        type: 'hello',
        versions: [1],
        sessionId,
        epoch: EPOCH,
        purpose: 'start',
        token: 'one-time-token',
        isResumable: true,
        ...attempt,
      },
    ],
    [
      'hello-resume',
      {
        type: 'hello',
        versions: [1],
        sessionId,
        epoch: EPOCH + 1,
        abortedEpoch: EPOCH,
        purpose: 'resume',
        proof: helloProof('resume', { ...session, epoch: EPOCH + 1 }),
        ...attempt,
      },
    ],
    [
      'hello-resolve',
      {
        type: 'hello',
        versions: [1],
        sessionId,
        epoch: EPOCH,
        purpose: 'resolve',
        proof: helloProof('resolve', session),
      },
    ],
    ['round-end', { type: 'round-end', round: 0, roots: [rootA] }],
    ['handover', { type: 'handover', round: 3, roots: [rootA], sourceRescanned: true, runState: 'running' }],
    ['commit', { type: 'commit' }],
    ['abort', { type: 'abort', outcome: 'cancelled', reason: 'cancelled by the operator' }],
    ['query', { type: 'query' }],
  ]);
}

/** Every message of the destination. */
export function destinationMessages(): ReadonlyMap<string, DestinationMessage> {
  return new Map<string, DestinationMessage>([
    [
      'welcome-start',
      {
        type: 'welcome',
        purpose: 'start',
        version: 1,
        sessionKey: session.sessionKey,
        hasBase: false,
        xbzrleCacheCeilingBytes: 268435456,
      },
    ],
    [
      'welcome-resume',
      { type: 'welcome', purpose: 'resume', version: 1, xbzrleCacheCeilingBytes: 268435456 },
    ],
    ['welcome-resolve', { type: 'welcome', purpose: 'resolve', version: 1, phase: 'prepared' }],
    ['reject', { type: 'reject', problem, versions: [1] }],
    ['round-result', { type: 'round-result', round: 0, roots: [rootA], matches: true, waitedMs: 1.5 }],
    ['cache-ceiling', { type: 'cache-ceiling', bytes: 33554432 }],
    ['ready', { type: 'ready' }],
    ['running', { type: 'running' }],
    ['refused', { type: 'refused', reason: 'the command could not be executed' }],
    ['aborted', { type: 'aborted', reason: 'cancelled by the operator' }],
    ['pong', { type: 'pong', sequence: 7 }],
    ['error', { type: 'error', problem }],
  ]);
}

function sourceExamples(): [string, Example][] {
  return [...sourceMessages()].map(([name, value]) => [
    name,
    { value, encode: () => encodeSourceMessage(value), decode: decodeSourceMessage },
  ]);
}

function destinationExamples(): [string, Example][] {
  return [...destinationMessages()].map(([name, value]) => [
    name,
    { value, encode: () => encodeDestinationMessage(value), decode: decodeDestinationMessage },
  ]);
}

function frame(type: FrameType, payload: Uint8Array, aux = 0): Uint8Array {
  return encodeFrame({ type, epoch: EPOCH, aux, payload });
}

/** The payload of the one frame that `bytes` is. */
function payloadOf(bytes: Uint8Array, limits: FrameLimits): Uint8Array {
  const splitter = new FrameSplitter(limits);
  const payloads: Uint8Array[] = [];
  splitter.push(bytes, ({ payload }) => payloads.push(payload));
  splitter.end();
  const [payload] = payloads;
  if (payload === undefined || payloads.length !== 1) {
    throw new Error(`${payloads.length} frames where one is expected`);
  }
  return payload;
}

/** The formula of the section on digests, once more, so that its vector is no copy of the kernel's. */
function rootMixExample(): Example {
  return {
    value: undefined,
    encode: () => {
      const digest = new DataView(countingBytes(0, 16).buffer);
      const a = f(digest.getBigUint64(0, true) ^ u64(2n * 0x9e3779b97f4a7c15n));
      const high = f(u64(digest.getBigUint64(8, true) + a));
      const mix = new DataView(new ArrayBuffer(16));
      mix.setBigUint64(0, f(u64(a + high)), true);
      mix.setBigUint64(8, high, true);
      return new Uint8Array(mix.buffer);
    },
    decode: () => undefined,
  };
}

/** MurmurHash3's 64-bit finalizer. */
function f(x: bigint): bigint {
  const first = u64((x ^ (x >> 33n)) * 0xff51afd7ed558ccdn);
  const second = u64((first ^ (first >> 33n)) * 0xc4ceb9fe1a85ec53n);
  return second ^ (second >> 33n);
}

function u64(x: bigint): bigint {
  return BigInt.asUintN(64, x);
}
