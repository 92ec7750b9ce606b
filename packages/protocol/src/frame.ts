/**
 * The 16-byte header in front of everything that follows the preamble, and which types a connection takes.
 *
 * Layout, little-endian: payload length u32, type u8, three reserved bytes, epoch u32, aux u32. What aux means depends on
 * the type (a round, or which half of a digest exchange); it is zero where it means nothing.
 * Invariant: a header that decodeFrameHeader returns has a payload length within both the type's own bounds and the
 * connection's, so the caller may allocate it.
 */
import { ProtocolError } from './errors.ts';
import {
  CONTROL_BEFORE_HELLO_MAX_BYTES,
  CONTROL_MESSAGE_MAX_BYTES,
  DEVICE_STATE_CHUNK_MAX_BYTES,
  DIGESTS_PER_FRAME_MAX,
  DIGEST_SIZE_BYTES,
  FRAME_PAYLOAD_MAX_BYTES,
} from './limits.ts';

/** Bytes of a frame header. */
export const FRAME_HEADER_BYTES = 16;

/** Wire codes of the frame types; 0 is never valid. */
export const FRAME_TYPE = {
  control: 1,
  pages: 2,
  dataHello: 3,
  dataAccept: 4,
  streamRoundEnd: 5,
  deviceState: 6,
  extentRoots: 7,
  pageDigests: 8,
} as const;

export type FrameType = (typeof FRAME_TYPE)[keyof typeof FRAME_TYPE];

export interface FrameHeader {
  readonly type: FrameType;
  /** Bytes that follow the header. */
  readonly payloadLengthBytes: number;
  /** Attempt within the session, from 1. */
  readonly epoch: number;
  /** Round of pages and streamRoundEnd; DIGEST_EXCHANGE code of extentRoots and pageDigests; else 0. */
  readonly aux: number;
}

/** A whole frame; the payload belongs to whoever got it. */
export interface Frame extends FrameHeader {
  readonly payload: Uint8Array;
}

/** Types that a connection takes at a moment, each with the largest payload allowed then, in bytes. */
export type FrameLimits = Readonly<Partial<Record<FrameType, number>>>;

/** What a type allows anywhere: its payload's bounds in bytes, and whether aux means something. */
interface FrameRule {
  readonly leastBytes: number;
  readonly mostBytes: number;
  readonly usesAux: boolean;
}

const DIGESTS_MOST_BYTES = 12 + DIGESTS_PER_FRAME_MAX * DIGEST_SIZE_BYTES;
const DEVICE_STATE_MOST_BYTES = 8 + DEVICE_STATE_CHUNK_MAX_BYTES;

const RULES: Readonly<Record<FrameType, FrameRule>> = {
  [FRAME_TYPE.control]: { leastBytes: 1, mostBytes: CONTROL_MESSAGE_MAX_BYTES, usesAux: false },
  [FRAME_TYPE.pages]: { leastBytes: 17, mostBytes: FRAME_PAYLOAD_MAX_BYTES, usesAux: true },
  [FRAME_TYPE.dataHello]: { leastBytes: 36, mostBytes: 36, usesAux: false },
  [FRAME_TYPE.dataAccept]: { leastBytes: 4, mostBytes: 4, usesAux: false },
  [FRAME_TYPE.streamRoundEnd]: { leastBytes: 8, mostBytes: 8, usesAux: true },
  [FRAME_TYPE.deviceState]: { leastBytes: 9, mostBytes: DEVICE_STATE_MOST_BYTES, usesAux: false },
  [FRAME_TYPE.extentRoots]: { leastBytes: 12, mostBytes: DIGESTS_MOST_BYTES, usesAux: true },
  [FRAME_TYPE.pageDigests]: { leastBytes: 12, mostBytes: DIGESTS_MOST_BYTES, usesAux: true },
};

/** Control connection until hello was answered. */
export const CONTROL_LIMITS_BEFORE_HELLO: FrameLimits = {
  [FRAME_TYPE.control]: CONTROL_BEFORE_HELLO_MAX_BYTES,
};

/** Control connection after that, both directions. */
export const CONTROL_LIMITS: FrameLimits = {
  [FRAME_TYPE.control]: CONTROL_MESSAGE_MAX_BYTES,
  [FRAME_TYPE.deviceState]: DEVICE_STATE_MOST_BYTES,
};

/** Data connection at the destination until its data-hello was accepted. */
export const DATA_LIMITS_BEFORE_ACCEPT: FrameLimits = { [FRAME_TYPE.dataHello]: 36 };

/** Data connection at the destination after that. */
export const DATA_LIMITS_AT_DESTINATION: FrameLimits = {
  [FRAME_TYPE.pages]: FRAME_PAYLOAD_MAX_BYTES,
  [FRAME_TYPE.streamRoundEnd]: 8,
  [FRAME_TYPE.extentRoots]: DIGESTS_MOST_BYTES,
  [FRAME_TYPE.pageDigests]: DIGESTS_MOST_BYTES,
};

/** Data connection at the source. */
export const DATA_LIMITS_AT_SOURCE: FrameLimits = {
  [FRAME_TYPE.dataAccept]: 4,
  [FRAME_TYPE.extentRoots]: DIGESTS_MOST_BYTES,
  [FRAME_TYPE.pageDigests]: DIGESTS_MOST_BYTES,
};

/** Writes the 16 bytes of a header at `offset` of `target`. Asserts what decodeFrameHeader checks. */
export function writeFrameHeader(target: Uint8Array, offset: number, header: FrameHeader): void {
  const rule = RULES[header.type];
  if (header.payloadLengthBytes < rule.leastBytes || header.payloadLengthBytes > rule.mostBytes) {
    throw new RangeError(
      `frame type ${header.type} cannot have ${header.payloadLengthBytes} bytes of payload`,
    );
  }
  if (header.epoch === 0 || (header.aux !== 0 && !rule.usesAux)) {
    throw new RangeError(`frame type ${header.type} cannot have epoch ${header.epoch} and aux ${header.aux}`);
  }
  const view = new DataView(target.buffer, target.byteOffset + offset, FRAME_HEADER_BYTES);
  view.setUint32(0, header.payloadLengthBytes, true);
  view.setUint32(4, header.type, true); // The reserved bytes are the upper three of this word.
  view.setUint32(8, header.epoch, true);
  view.setUint32(12, header.aux, true);
}

/** A whole frame in new memory: header and a copy of the payload. For everything but the page path. */
export function encodeFrame(frame: Omit<Frame, 'payloadLengthBytes'>): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + frame.payload.length);
  writeFrameHeader(bytes, 0, { ...frame, payloadLengthBytes: frame.payload.length });
  bytes.set(frame.payload, FRAME_HEADER_BYTES);
  return bytes;
}

/**
 * Reads the header in the first 16 of `bytes` (there may be more).
 * Throws ProtocolError: truncated, unknown-frame-type, frame-not-allowed, payload-too-short, payload-too-long,
 * reserved-not-zero, zero-epoch, unexpected-value (aux).
 */
export function decodeFrameHeader(bytes: Uint8Array, limits: FrameLimits): FrameHeader {
  if (bytes.length < FRAME_HEADER_BYTES) {
    throw new ProtocolError({
      code: 'truncated',
      what: 'frame header',
      neededBytes: FRAME_HEADER_BYTES,
      availableBytes: bytes.length,
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER_BYTES);
  const payloadLengthBytes = view.getUint32(0, true);
  const type = checkType(view.getUint8(4), payloadLengthBytes, limits);
  if (view.getUint8(5) !== 0 || view.getUint16(6, true) !== 0) {
    throw new ProtocolError({ code: 'reserved-not-zero', what: 'frame header' });
  }
  const epoch = view.getUint32(8, true);
  if (epoch === 0) {
    throw new ProtocolError({ code: 'zero-epoch' });
  }
  const aux = view.getUint32(12, true);
  if (aux !== 0 && !RULES[type].usesAux) {
    throw new ProtocolError({
      code: 'unexpected-value',
      what: 'aux of the frame header',
      value: aux,
      expected: 0,
    });
  }
  return { type, payloadLengthBytes, epoch, aux };
}

/**
 * Refuses a frame of another epoch than the current one, which hello announced.
 * Throws ProtocolError: stale-epoch, future-epoch.
 */
export function checkEpoch(header: FrameHeader, currentEpoch: number): void {
  if (header.epoch < currentEpoch) {
    throw new ProtocolError({ code: 'stale-epoch', epoch: header.epoch, currentEpoch });
  }
  if (header.epoch > currentEpoch) {
    throw new ProtocolError({ code: 'future-epoch', epoch: header.epoch, currentEpoch });
  }
}

function checkType(code: number, lengthBytes: number, limits: FrameLimits): FrameType {
  if (!isFrameType(code)) {
    throw new ProtocolError({ code: 'unknown-frame-type', type: code });
  }
  const limitBytes = limits[code];
  if (limitBytes === undefined) {
    throw new ProtocolError({ code: 'frame-not-allowed', type: code });
  }
  const { leastBytes, mostBytes } = RULES[code];
  if (lengthBytes < leastBytes) {
    throw new ProtocolError({ code: 'payload-too-short', type: code, lengthBytes, leastBytes });
  }
  if (lengthBytes > Math.min(limitBytes, mostBytes)) {
    throw new ProtocolError({
      code: 'payload-too-long',
      type: code,
      lengthBytes,
      limitBytes: Math.min(limitBytes, mostBytes),
    });
  }
  return code;
}

function isFrameType(code: number): code is FrameType {
  return Object.hasOwn(RULES, code);
}
