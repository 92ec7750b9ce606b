/**
 * The first 32 bytes of every connection, sent by the side that connects (the source). They say whether control messages
 * or pages follow and which session it is about, so that the listening daemon can hand a data socket to its engine after
 * reading exactly this many bytes.
 *
 * Fixed size and its own version number: it is read before anything is negotiated and never changes its length.
 * The session id is public; what proves the right to use it comes in the first frame.
 */
import { ProtocolError } from './errors.ts';
import { SESSION_ID_SIZE_BYTES } from './limits.ts';

/** Bytes of a preamble. */
export const PREAMBLE_BYTES = 32;

/** Version of the preamble's own layout, not of the protocol. */
export const PREAMBLE_VERSION = 1;

/** Wire codes of what follows the preamble. */
export const CONNECTION_KIND = { control: 1, data: 2 } as const;

export type ConnectionKind = keyof typeof CONNECTION_KIND;

export interface Preamble {
  readonly kind: ConnectionKind;
  /** 16 bytes, not all zero. */
  readonly sessionId: Uint8Array;
}

const MAGIC = Uint8Array.of(0x50, 0x47, 0x46, 0x59); // "PGFY"
const VERSION_OFFSET = 4;
const KIND_OFFSET = 5;
const SHORT_RESERVED_OFFSET = 6;
const SESSION_ID_OFFSET = 8;
const LONG_RESERVED_OFFSET = 24;

/** The 32 bytes of a preamble. Asserts the length of the session id. */
export function encodePreamble(preamble: Preamble): Uint8Array {
  if (preamble.sessionId.length !== SESSION_ID_SIZE_BYTES || isZero(preamble.sessionId)) {
    throw new RangeError('a session id is 16 bytes, not all zero');
  }
  const bytes = new Uint8Array(PREAMBLE_BYTES);
  bytes.set(MAGIC, 0);
  bytes[VERSION_OFFSET] = PREAMBLE_VERSION;
  bytes[KIND_OFFSET] = CONNECTION_KIND[preamble.kind];
  bytes.set(preamble.sessionId, SESSION_ID_OFFSET);
  return bytes;
}

/** Whether `bytes`, at least 4 of them, begin as a preamble does. No frame header begins so: its length would be too long. */
export function beginsWithMagic(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, index) => bytes[index] === byte);
}

/**
 * Reads a preamble from exactly 32 bytes. The session id is a copy.
 * Throws ProtocolError: truncated, trailing-bytes, bad-magic, unsupported-preamble-version, unknown-connection-kind,
 * reserved-not-zero, zero-session-id.
 */
export function decodePreamble(bytes: Uint8Array): Preamble {
  checkLength(bytes);
  if (!beginsWithMagic(bytes)) {
    throw new ProtocolError({ code: 'bad-magic' });
  }
  const version = bytes[VERSION_OFFSET] ?? 0;
  if (version !== PREAMBLE_VERSION) {
    throw new ProtocolError({ code: 'unsupported-preamble-version', version });
  }
  const kind = decodeKind(bytes[KIND_OFFSET] ?? 0);
  if (
    !isZero(bytes.subarray(SHORT_RESERVED_OFFSET, SESSION_ID_OFFSET)) ||
    !isZero(bytes.subarray(LONG_RESERVED_OFFSET))
  ) {
    throw new ProtocolError({ code: 'reserved-not-zero', what: 'preamble' });
  }
  const sessionId = Uint8Array.from(bytes.subarray(SESSION_ID_OFFSET, LONG_RESERVED_OFFSET));
  if (isZero(sessionId)) {
    throw new ProtocolError({ code: 'zero-session-id' });
  }
  return { kind, sessionId };
}

function checkLength(bytes: Uint8Array): void {
  if (bytes.length < PREAMBLE_BYTES) {
    throw new ProtocolError({
      code: 'truncated',
      what: 'preamble',
      neededBytes: PREAMBLE_BYTES,
      availableBytes: bytes.length,
    });
  }
  if (bytes.length > PREAMBLE_BYTES) {
    throw new ProtocolError({
      code: 'trailing-bytes',
      what: 'preamble',
      trailingBytes: bytes.length - PREAMBLE_BYTES,
    });
  }
}

function decodeKind(code: number): ConnectionKind {
  switch (code) {
    case CONNECTION_KIND.control:
      return 'control';
    case CONNECTION_KIND.data:
      return 'data';
    default:
      throw new ProtocolError({ code: 'unknown-connection-kind', kind: code });
  }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
