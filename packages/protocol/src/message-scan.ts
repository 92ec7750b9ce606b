/**
 * Looks through the raw bytes of a control message before msgpackr sees them. msgpackr is fast and trusting: it builds
 * records and classes from extension types, and it recurses as deeply as the bytes say. What passes here is the plain
 * subset: nil, booleans, numbers, UTF-8 strings, binary, arrays, and maps with string keys; one map, nothing behind it.
 *
 * Invariant: time and stack are bounded by the length of the input and MESSAGE_NESTING_MAX, whatever lengths it declares;
 * nothing is allocated.
 */
import { isUtf8 } from 'node:buffer';
import { ProtocolError } from './errors.ts';
import { MESSAGE_NESTING_MAX } from './limits.ts';

/** Throws ProtocolError malformed-message, with the offset, unless `bytes` is one map of the plain subset. */
export function scanMessage(bytes: Uint8Array): void {
  const first = bytes[0] ?? NEVER_USED;
  if (!isMap(first)) {
    refuse('not a map', 0);
  }
  const end = scanValue(bytes, 0, 1);
  if (end !== bytes.length) {
    refuse('bytes behind the message', end);
  }
}

const NEVER_USED = 0xc1;

/** Where the value at `offset` ends. `depth` is that of a map or array standing here. */
function scanValue(bytes: Uint8Array, offset: number, depth: number): number {
  const token = readByte(bytes, offset);
  if (token <= 0x7f || token >= 0xe0) {
    return offset + 1; // Small integers.
  }
  if (token <= 0x8f) {
    return scanItems(bytes, offset, offset + 1, token & 0x0f, 'map', depth);
  }
  if (token <= 0x9f) {
    return scanItems(bytes, offset, offset + 1, token & 0x0f, 'array', depth);
  }
  if (token <= 0xbf) {
    return scanString(bytes, offset, offset + 1, token & 0x1f);
  }
  return scanLongValue(bytes, offset, token, depth);
}

/** The values whose first byte is 0xc0 to 0xdf. */
function scanLongValue(bytes: Uint8Array, offset: number, token: number, depth: number): number {
  switch (token) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return offset + 1;
    case 0xc4: // bin 8, 16, 32
    case 0xc5:
    case 0xc6: {
      const width = 1 << (token - 0xc4);
      return skip(bytes, offset + 1 + width, readLength(bytes, offset + 1, width));
    }
    case 0xca: // float 32
    case 0xce: // uint 32
    case 0xd2: // int 32
      return skip(bytes, offset + 1, 4);
    case 0xcb: // float 64
    case 0xcf: // uint 64
    case 0xd3: // int 64
      return skip(bytes, offset + 1, 8);
    case 0xcc: // uint 8
    case 0xd0: // int 8
      return skip(bytes, offset + 1, 1);
    case 0xcd: // uint 16
    case 0xd1: // int 16
      return skip(bytes, offset + 1, 2);
    case 0xd9: // str 8, 16, 32
    case 0xda:
    case 0xdb: {
      const width = 1 << (token - 0xd9);
      return scanString(bytes, offset, offset + 1 + width, readLength(bytes, offset + 1, width));
    }
    case 0xdc: // array 16, 32
    case 0xdd: {
      const width = 2 << (token - 0xdc);
      return scanItems(
        bytes,
        offset,
        offset + 1 + width,
        readLength(bytes, offset + 1, width),
        'array',
        depth,
      );
    }
    case 0xde: // map 16, 32
    case 0xdf: {
      const width = 2 << (token - 0xde);
      return scanItems(bytes, offset, offset + 1 + width, readLength(bytes, offset + 1, width), 'map', depth);
    }
    default: // 0xc1 is never used; 0xc7 to 0xc9 and 0xd4 to 0xd8 are extensions.
      return refuse(token === NEVER_USED ? 'the byte 0xc1' : 'an extension type', offset);
  }
}

function scanItems(
  bytes: Uint8Array,
  offset: number,
  itemsOffset: number,
  count: number,
  container: 'map' | 'array',
  depth: number,
): number {
  if (depth > MESSAGE_NESTING_MAX) {
    return refuse(`nesting deeper than ${MESSAGE_NESTING_MAX}`, offset);
  }
  skip(bytes, itemsOffset, count); // Each takes a byte at least: a declared count costs no loop of its own.
  let position = itemsOffset;
  for (let index = 0; index < count; index += 1) {
    if (container === 'map') {
      position = scanKey(bytes, position);
    }
    position = scanValue(bytes, position, depth + 1);
  }
  return position;
}

function scanKey(bytes: Uint8Array, offset: number): number {
  const token = readByte(bytes, offset);
  if ((token & 0xe0) !== 0xa0 && (token < 0xd9 || token > 0xdb)) {
    return refuse('a key that is not a string', offset);
  }
  return scanValue(bytes, offset, 0);
}

function scanString(bytes: Uint8Array, offset: number, textOffset: number, lengthBytes: number): number {
  const end = skip(bytes, textOffset, lengthBytes);
  return isUtf8(bytes.subarray(textOffset, end)) ? end : refuse('a string that is not UTF-8', offset);
}

/** Big-endian, as msgpack has it. */
function readLength(bytes: Uint8Array, offset: number, width: number): number {
  let length = 0;
  for (let index = 0; index < width; index += 1) {
    length = length * 256 + readByte(bytes, offset + index);
  }
  return length;
}

function readByte(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? refuse('the end of the message within a value', offset);
}

function skip(bytes: Uint8Array, offset: number, lengthBytes: number): number {
  return offset + lengthBytes <= bytes.length
    ? offset + lengthBytes
    : refuse('the end of the message within a value', offset);
}

function isMap(token: number): boolean {
  return (token & 0xf0) === 0x80 || token === 0xde || token === 0xdf;
}

function refuse(reason: string, offsetBytes: number): never {
  throw new ProtocolError({ code: 'malformed-message', reason, offsetBytes });
}
