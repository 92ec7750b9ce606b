/**
 * Length and reserved-field checks that the small fixed payloads share, so that each decoder reads as its table in
 * docs/PROTOCOL.md. Order of the checks everywhere: length, then reserved, then fields.
 */
import { ProtocolError } from './errors.ts';

/** A view of exactly `sizeBytes` bytes. Throws ProtocolError truncated or trailing-bytes, naming `what`. */
export function exactView(bytes: Uint8Array, sizeBytes: number, what: string): DataView {
  const view = leadingView(bytes, sizeBytes, what);
  if (bytes.length > sizeBytes) {
    throw new ProtocolError({ code: 'trailing-bytes', what, trailingBytes: bytes.length - sizeBytes });
  }
  return view;
}

/** A view of the first `sizeBytes` bytes. Throws ProtocolError truncated, naming `what`. */
export function leadingView(bytes: Uint8Array, sizeBytes: number, what: string): DataView {
  if (bytes.length < sizeBytes) {
    throw new ProtocolError({
      code: 'truncated',
      what,
      neededBytes: sizeBytes,
      availableBytes: bytes.length,
    });
  }
  return new DataView(bytes.buffer, bytes.byteOffset, sizeBytes);
}

/** Throws ProtocolError reserved-not-zero, naming `what`, unless the field is zero. */
export function checkReserved(value: number, what: string): void {
  if (value !== 0) {
    throw new ProtocolError({ code: 'reserved-not-zero', what });
  }
}

/** Throws ProtocolError out-of-range unless `value` is below `limit`. */
export function checkBelow(value: number, limit: number, what: string): void {
  if (value >= limit) {
    throw new ProtocolError({ code: 'out-of-range', what, value, limit });
  }
}

/** Throws ProtocolError zero-count, naming `what`, for 0. */
export function checkNotZero(value: number, what: string): void {
  if (value === 0) {
    throw new ProtocolError({ code: 'zero-count', what });
  }
}

/** Throws ProtocolError unexpected-value unless the two are equal. */
export function checkExpected(value: number, expected: number, what: string): void {
  if (value !== expected) {
    throw new ProtocolError({ code: 'unexpected-value', what, value, expected });
  }
}
