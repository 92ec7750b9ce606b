/**
 * The payload of a device-state frame: a piece of the paused guest's device state, on the control connection, before
 * `handover`. Pieces are small, so that pings pass between two of them.
 *
 * Layout, little-endian: offset u32, total u32, then at least one byte. Pieces come in order without gaps; handover
 * states the sum and its SHA-256.
 */
import { checkBelow, checkExpected, leadingView } from './layout.ts';
import { DEVICE_STATE_MAX_BYTES } from './limits.ts';

const HEADER_BYTES = 8;

export interface DeviceStatePiece {
  /** Where the piece begins in the whole. */
  readonly offsetBytes: number;
  /** Size of the whole; the same in every piece. */
  readonly totalBytes: number;
  /** A view of the payload it was decoded from. */
  readonly piece: Uint8Array;
}

/** 8 bytes and the piece, in new memory. */
export function encodeDeviceStatePiece({ offsetBytes, totalBytes, piece }: DeviceStatePiece): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + piece.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, offsetBytes, true);
  view.setUint32(4, totalBytes, true);
  bytes.set(piece, HEADER_BYTES);
  return bytes;
}

/**
 * Reads the piece that must begin at `expectedOffsetBytes`. The piece is a view of `payload`.
 * Throws ProtocolError: truncated, out-of-range (total, end of the piece), unexpected-value (offset).
 */
export function decodeDeviceStatePiece(payload: Uint8Array, expectedOffsetBytes: number): DeviceStatePiece {
  const view = leadingView(payload, HEADER_BYTES + 1, 'device-state');
  const offsetBytes = view.getUint32(0, true);
  const totalBytes = view.getUint32(4, true);
  const piece = payload.subarray(HEADER_BYTES);
  checkBelow(totalBytes, DEVICE_STATE_MAX_BYTES + 1, 'size of the device state');
  checkExpected(offsetBytes, expectedOffsetBytes, 'offset of the device-state piece');
  checkBelow(offsetBytes + piece.length - 1, totalBytes, 'end of the device-state piece');
  return { offsetBytes, totalBytes, piece };
}
