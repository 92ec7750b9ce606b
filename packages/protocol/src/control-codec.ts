/**
 * Control messages as bytes: msgpack maps, without any extension. The only file that knows msgpackr.
 *
 * Decoding is three steps, in this order: scan the raw bytes (message-scan.ts), unpack, validate. Encoding goes through
 * the same schema and the same scan, so that a mistake of ours fails here and not at the peer.
 * Integers above 2^32 - 1 travel as float 64, as msgpackr writes them; uint 64 and int 64 are taken too. Values that are
 * no safe integers are refused by the schemas.
 */
import { Packr } from 'msgpackr';
import { z } from 'zod';
import {
  destinationMessage,
  sourceMessage,
  type DestinationMessage,
  type SourceMessage,
} from './control-message.ts';
import { ProtocolError } from './errors.ts';
import {
  CONTROL_BEFORE_HELLO_MAX_BYTES,
  CONTROL_MESSAGE_MAX_BYTES,
  VERSION_NUMBER_MAX,
  VERSIONS_MAX,
} from './limits.ts';
import { scanMessage } from './message-scan.ts';

// Binary fields come out as views of the input; the schemas copy them.
const packr = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  int64AsType: 'number',
  bundleStrings: false,
  variableMapSize: true,
});

/** The part of hello that every version of the protocol can read. */
const offer = z.object({
  type: z.literal('hello'),
  versions: z.array(z.int().min(1).max(VERSION_NUMBER_MAX)).min(1).max(VERSIONS_MAX),
});

/** Payload of a control frame, in memory of its own. Asserts that the message is valid and short enough. */
export function encodeSourceMessage(message: SourceMessage): Uint8Array {
  return encode(sourceMessage.parse(message));
}

/** Payload of a control frame, in memory of its own. Asserts that the message is valid and short enough. */
export function encodeDestinationMessage(message: DestinationMessage): Uint8Array {
  return encode(destinationMessage.parse(message));
}

/**
 * A message of the source, as the destination reads it. Nothing of it refers to `payload`.
 * Throws ProtocolError: malformed-message, invalid-message.
 */
export function decodeSourceMessage(payload: Uint8Array): SourceMessage {
  return validate(sourceMessage, unpack(payload));
}

/**
 * A message of the destination, as the source reads it. Nothing of it refers to `payload`.
 * Throws ProtocolError: malformed-message, invalid-message.
 */
export function decodeDestinationMessage(payload: Uint8Array): DestinationMessage {
  return validate(destinationMessage, unpack(payload));
}

/**
 * The versions that a hello offers, read before the rest of it: the rest may be a newer version's.
 * Throws ProtocolError: malformed-message, invalid-message (also where it is no hello).
 */
export function decodeOfferedVersions(payload: Uint8Array): readonly number[] {
  return validate(offer, unpack(payload)).versions;
}

function encode(message: SourceMessage | DestinationMessage): Uint8Array {
  const payload = Uint8Array.from(packr.pack(message));
  if (
    payload.length > (message.type === 'hello' ? CONTROL_BEFORE_HELLO_MAX_BYTES : CONTROL_MESSAGE_MAX_BYTES)
  ) {
    throw new RangeError(`a ${message.type} message of ${payload.length} bytes is too long`);
  }
  scanMessage(payload);
  return payload;
}

function unpack(payload: Uint8Array): unknown {
  scanMessage(payload);
  try {
    const value: unknown = packr.unpack(payload);
    return value;
  } catch (cause) {
    throw new ProtocolError(
      { code: 'malformed-message', reason: 'msgpack that cannot be decoded', offsetBytes: 0 },
      { cause },
    );
  }
}

function validate<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) {
    return result.data;
  }
  const issues = result.error.issues.map(({ path, message }) => `${path.join('.') || 'message'}: ${message}`);
  throw new ProtocolError({ code: 'invalid-message', issues: issues.slice(0, ISSUES_MAX) });
}

/** A hostile message can have an issue per byte; the first few say enough. */
const ISSUES_MAX = 8;
