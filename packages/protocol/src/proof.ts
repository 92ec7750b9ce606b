/**
 * The keyed proofs by which later connections of a session show that they belong to it: HMAC-SHA256 with the session key
 * over a label and the facts that the connection claims.
 *
 * Each use has its own label, so that the proof of one can never serve as the proof of another. A proof is the same every
 * time for the same facts: over plain TCP it keeps strangers and old epochs out, not someone who reads the wire.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { ProtocolError } from './errors.ts';

/** Facts of a session that every proof covers. */
export interface SessionFacts {
  /** 16 secret bytes from welcome. */
  readonly sessionKey: Uint8Array;
  /** 16 public bytes, as in the preamble. */
  readonly sessionId: Uint8Array;
  readonly epoch: number;
}

/** Facts of a data connection. */
export interface StreamFacts {
  /** Index of the stream, below streamCount. */
  readonly stream: number;
  readonly streamCount: number;
}

/** Proof of a data-hello: HMAC over "data", session id, epoch u32, stream u16, stream count u16. 32 bytes. */
export function dataProof(session: SessionFacts, { stream, streamCount }: StreamFacts): Uint8Array {
  const facts = new Uint8Array(8);
  const view = new DataView(facts.buffer);
  view.setUint32(0, session.epoch, true);
  view.setUint16(4, stream, true);
  view.setUint16(6, streamCount, true);
  return proof('data', session, facts);
}

/** Proof of a hello with purpose resume or resolve: HMAC over that word, session id, epoch u32. 32 bytes. */
export function helloProof(purpose: 'resume' | 'resolve', session: SessionFacts): Uint8Array {
  const facts = new Uint8Array(4);
  new DataView(facts.buffer).setUint32(0, session.epoch, true);
  return proof(purpose, session, facts);
}

/** Compares in constant time. Throws ProtocolError wrong-proof, naming `what`. */
export function checkProof(received: Uint8Array, expected: Uint8Array, what: string): void {
  if (received.length !== expected.length || !timingSafeEqual(received, expected)) {
    throw new ProtocolError({ code: 'wrong-proof', what });
  }
}

function proof(label: string, session: SessionFacts, facts: Uint8Array): Uint8Array {
  const hmac = createHmac('sha256', session.sessionKey);
  return Uint8Array.from(hmac.update(label, 'ascii').update(session.sessionId).update(facts).digest());
}
