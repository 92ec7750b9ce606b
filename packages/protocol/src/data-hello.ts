/**
 * The small fixed payloads of a data connection: its first frame, the answer to it, and the end of a round on a stream.
 *
 * The source sends no page before data-accept: only then does it know that an engine, not just a listening socket, took
 * the stream. stream-round-end counts the page frames of the round, so that a lost one is noticed at once.
 */
import { checkBelow, checkExpected, checkReserved, exactView } from './layout.ts';
import { PROOF_SIZE_BYTES, STREAMS_MAX } from './limits.ts';
import { checkProof, dataProof, type SessionFacts, type StreamFacts } from './proof.ts';

const DATA_HELLO_BYTES = 4 + PROOF_SIZE_BYTES;
const DATA_ACCEPT_BYTES = 4;
const STREAM_ROUND_END_BYTES = 8;

export interface StreamRoundEnd {
  readonly stream: number;
  /** `pages` frames that the source sent on this stream in this round. */
  readonly frameCount: number;
}

/** Payload of data-hello: stream u16, stream count u16, proof. 36 bytes. */
export function encodeDataHello(session: SessionFacts, facts: StreamFacts): Uint8Array {
  const bytes = new Uint8Array(DATA_HELLO_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, facts.stream, true);
  view.setUint16(2, facts.streamCount, true);
  bytes.set(dataProof(session, facts), 4);
  return bytes;
}

/**
 * Reads and proves a data-hello; gives the stream's index.
 * Throws ProtocolError: truncated, trailing-bytes, unexpected-value (stream count), out-of-range (stream), wrong-proof.
 */
export function decodeDataHello(payload: Uint8Array, session: SessionFacts, streamCount: number): number {
  const view = exactView(payload, DATA_HELLO_BYTES, 'data-hello');
  const stream = view.getUint16(0, true);
  checkExpected(view.getUint16(2, true), streamCount, 'stream count of the data-hello');
  checkBelow(stream, streamCount, 'stream of the data-hello');
  checkProof(payload.subarray(4), dataProof(session, { stream, streamCount }), 'data-hello');
  return stream;
}

/**
 * What a data-hello claims, for a tool without the session's key: the proof is not checked.
 * Throws ProtocolError: truncated, trailing-bytes, out-of-range (stream count, stream).
 */
export function decodeUnprovenDataHello(payload: Uint8Array): StreamFacts {
  const view = exactView(payload, DATA_HELLO_BYTES, 'data-hello');
  const facts = { stream: view.getUint16(0, true), streamCount: view.getUint16(2, true) };
  checkBelow(facts.streamCount, STREAMS_MAX + 1, 'stream count of the data-hello');
  checkBelow(facts.stream, facts.streamCount, 'stream of the data-hello');
  return facts;
}

/** Payload of data-accept: stream u16, reserved u16. 4 bytes. */
export function encodeDataAccept(stream: number): Uint8Array {
  const bytes = new Uint8Array(DATA_ACCEPT_BYTES);
  new DataView(bytes.buffer).setUint16(0, stream, true);
  return bytes;
}

/** Throws ProtocolError: truncated, trailing-bytes, reserved-not-zero, out-of-range, unexpected-value (another stream). */
export function checkDataAccept(payload: Uint8Array, stream: number): void {
  checkExpected(decodeDataAccept(payload), stream, 'stream of the data-accept');
}

/** The stream that was accepted. Throws ProtocolError: truncated, trailing-bytes, reserved-not-zero, out-of-range. */
export function decodeDataAccept(payload: Uint8Array): number {
  const view = exactView(payload, DATA_ACCEPT_BYTES, 'data-accept');
  checkReserved(view.getUint16(2, true), 'data-accept');
  const stream = view.getUint16(0, true);
  checkBelow(stream, STREAMS_MAX, 'stream of the data-accept');
  return stream;
}

/** Payload of stream-round-end: stream u16, reserved u16, frame count u32. 8 bytes; the round is in the header's aux. */
export function encodeStreamRoundEnd({ stream, frameCount }: StreamRoundEnd): Uint8Array {
  const bytes = new Uint8Array(STREAM_ROUND_END_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, stream, true);
  view.setUint32(4, frameCount, true);
  return bytes;
}

/** Throws ProtocolError: truncated, trailing-bytes, reserved-not-zero, out-of-range (stream). */
export function decodeStreamRoundEnd(payload: Uint8Array): StreamRoundEnd {
  const view = exactView(payload, STREAM_ROUND_END_BYTES, 'stream-round-end');
  checkReserved(view.getUint16(2, true), 'stream-round-end');
  const stream = view.getUint16(0, true);
  checkBelow(stream, STREAMS_MAX, 'stream of the stream-round-end');
  return { stream, frameCount: view.getUint32(4, true) };
}
