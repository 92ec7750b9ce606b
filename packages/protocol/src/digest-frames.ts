/**
 * The payloads of the digest exchange, extent-roots and page-digests: how two tables of digests find where they differ,
 * for repair and for resuming after a cut. Both have the same layout, and both exist as a request and as its answer
 * (the header's aux tells which).
 *
 * Layout, little-endian: block u16, stream u16, first u32, count u32; an answer goes on with count × 16 bytes. `first`
 * counts extents of the stream (extent-roots) or pages of the stream (page-digests). Sixteen zero bytes mean unknown.
 */
import { ProtocolError } from './errors.ts';
import { checkBelow, checkExpected, checkNotZero, exactView, leadingView } from './layout.ts';
import { DIGESTS_PER_FRAME_MAX, DIGEST_SIZE_BYTES } from './limits.ts';

const HEADER_BYTES = 12;

/** Wire codes of aux in frames of the digest exchange; 0 is never valid. */
export const DIGEST_EXCHANGE = { request: 1, answer: 2 } as const;

/** What a request asks for and an answer gives: `count` roots or digests from `first` on. */
export interface DigestRange {
  readonly block: number;
  readonly stream: number;
  readonly first: number;
  /** At least 1. */
  readonly count: number;
}

export type DigestExchange = keyof typeof DIGEST_EXCHANGE;

export interface DigestAnswer extends DigestRange {
  /** count × 16 bytes; a view of the payload it was decoded from. */
  readonly digests: Uint8Array;
}

/** What a range must lie within: the block's count of extents or pages on this stream. */
export interface DigestBounds {
  readonly stream: number;
  readonly blockCount: number;
  /** First index that the stream does not have of the given block. */
  readonly limitOf: (block: number) => number;
}

/** Payload of a request. 12 bytes. */
export function encodeDigestRequest(range: DigestRange): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  writeRange(bytes, range);
  return bytes;
}

/** Payload of an answer. 12 + count × 16 bytes. */
export function encodeDigestAnswer(answer: DigestAnswer): Uint8Array {
  if (answer.digests.length !== answer.count * DIGEST_SIZE_BYTES) {
    throw new RangeError(`${answer.count} digests are not ${answer.digests.length} bytes`);
  }
  const bytes = new Uint8Array(HEADER_BYTES + answer.digests.length);
  writeRange(bytes, answer);
  bytes.set(answer.digests, HEADER_BYTES);
  return bytes;
}

/** Throws ProtocolError: truncated, trailing-bytes, zero-count, unexpected-value (stream), out-of-range. */
export function decodeDigestRequest(payload: Uint8Array, bounds: DigestBounds): DigestRange {
  return readRange(exactView(payload, HEADER_BYTES, 'digest request'), bounds);
}

/**
 * The answer to `request`: it has the same range. The digests are a view of `payload`.
 * Throws ProtocolError: truncated, trailing-bytes, unexpected-value (another range than the request's).
 */
export function decodeDigestAnswer(payload: Uint8Array, request: DigestRange): DigestAnswer {
  const view = leadingView(payload, HEADER_BYTES, 'digest answer');
  checkExpected(view.getUint16(0, true), request.block, 'block of the digest answer');
  checkExpected(view.getUint16(2, true), request.stream, 'stream of the digest answer');
  checkExpected(view.getUint32(4, true), request.first, 'first index of the digest answer');
  checkExpected(view.getUint32(8, true), request.count, 'count of the digest answer');
  exactView(payload, HEADER_BYTES + request.count * DIGEST_SIZE_BYTES, 'digest answer');
  return { ...request, digests: payload.subarray(HEADER_BYTES) };
}

/**
 * Which half of the exchange a frame is, by its header's aux.
 * Throws ProtocolError unexpected-value.
 */
export function digestExchangeOf(aux: number): DigestExchange {
  switch (aux) {
    case DIGEST_EXCHANGE.request:
      return 'request';
    case DIGEST_EXCHANGE.answer:
      return 'answer';
    default:
      throw new ProtocolError({
        code: 'unexpected-value',
        what: 'aux of a digest frame',
        value: aux,
        expected: DIGEST_EXCHANGE.answer,
      });
  }
}

/**
 * An answer by itself, for a tool that has not seen its request. The digests are a view of `payload`.
 * Throws ProtocolError: truncated, trailing-bytes, zero-count, unexpected-value (stream), out-of-range.
 */
export function decodeUnaskedDigestAnswer(payload: Uint8Array, bounds: DigestBounds): DigestAnswer {
  return decodeDigestAnswer(payload, readRange(leadingView(payload, HEADER_BYTES, 'digest answer'), bounds));
}

function writeRange(bytes: Uint8Array, { block, stream, first, count }: DigestRange): void {
  if (count < 1 || count > DIGESTS_PER_FRAME_MAX) {
    throw new RangeError(`a digest range cannot have ${count} entries`);
  }
  const view = new DataView(bytes.buffer);
  view.setUint16(0, block, true);
  view.setUint16(2, stream, true);
  view.setUint32(4, first, true);
  view.setUint32(8, count, true);
}

function readRange(view: DataView, bounds: DigestBounds): DigestRange {
  const range = {
    block: view.getUint16(0, true),
    stream: view.getUint16(2, true),
    first: view.getUint32(4, true),
    count: view.getUint32(8, true),
  };
  checkExpected(range.stream, bounds.stream, 'stream of the digest range');
  checkBelow(range.block, bounds.blockCount, 'block of the digest range');
  checkNotZero(range.count, 'count of the digest range');
  checkBelow(range.count, DIGESTS_PER_FRAME_MAX + 1, 'count of the digest range');
  checkBelow(range.first + range.count - 1, bounds.limitOf(range.block), 'last index of the digest range');
  return range;
}
