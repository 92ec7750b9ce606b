// The journal's bytes: a fixed number of fixed-size slots, used in turn. Pure.
//
// | offset | bytes | field                                                           |
// |--------|-------|-----------------------------------------------------------------|
// | 0      | 4     | magic "PFJ1"                                                    |
// | 4      | 4     | payload length u32                                              |
// | 8      | 4     | sequence u32, 1 or more; slot index = sequence mod SLOT_COUNT   |
// | 12     | 4     | 0                                                               |
// | 16     | 16    | SHA-256 of bytes 4–15 and the payload, its first 16 bytes       |
// | 32     | …     | payload, JSON in UTF-8                                          |
//
// Invariant: the slot with the greatest sequence whose digest is right is the newest step. A torn slot has a wrong
// digest, and the one before it counts: it was not overwritten, for a write never touches its predecessor.
import { createHash } from 'node:crypto';
import { HandoverError } from './errors.ts';

export const SLOT_BYTES = 8192;
export const SLOT_COUNT = 64;
export const JOURNAL_BYTES = SLOT_BYTES * SLOT_COUNT;
const HEADER_BYTES = 32;
const MAGIC = 0x314a_4650;

/** Longest payload of one slot. */
export const PAYLOAD_MAX_BYTES = SLOT_BYTES - HEADER_BYTES;

/** An intact slot. */
export interface Slot {
  readonly sequence: number;
  readonly payload: string;
}

/**
 * The bytes of one slot, as long as they need to be (what follows in the slot is older and not read).
 * @throws {HandoverError} `record-too-large`.
 */
export function encodeSlot({ sequence, payload }: Slot): Buffer {
  const lengthBytes = Buffer.byteLength(payload);
  if (lengthBytes > PAYLOAD_MAX_BYTES) {
    throw new HandoverError({
      code: 'record-too-large',
      what: 'the record',
      lengthBytes,
      limitBytes: PAYLOAD_MAX_BYTES,
    });
  }
  const slot = Buffer.alloc(HEADER_BYTES + lengthBytes);
  slot.writeUInt32LE(MAGIC, 0);
  slot.writeUInt32LE(lengthBytes, 4);
  slot.writeUInt32LE(sequence, 8);
  slot.write(payload, HEADER_BYTES);
  digest(slot).copy(slot, 16);
  return slot;
}

/** The slot in `bytes`, or null if it is empty, torn or damaged. */
export function decodeSlot(bytes: Buffer): Slot | null {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) return null;
  const lengthBytes = bytes.readUInt32LE(4);
  if (lengthBytes > PAYLOAD_MAX_BYTES || HEADER_BYTES + lengthBytes > bytes.length) return null;
  const slot = bytes.subarray(0, HEADER_BYTES + lengthBytes);
  if (!digest(slot).equals(slot.subarray(16, HEADER_BYTES))) return null;
  return { sequence: slot.readUInt32LE(8), payload: slot.toString('utf8', HEADER_BYTES) };
}

/** The newest intact slot of a whole journal, or null if there is none. */
export function newestSlot(file: Buffer): Slot | null {
  let newest: Slot | null = null;
  for (let offset = 0; offset + SLOT_BYTES <= file.length; offset += SLOT_BYTES) {
    const slot = decodeSlot(file.subarray(offset, offset + SLOT_BYTES));
    if (slot !== null && slot.sequence > (newest?.sequence ?? 0)) newest = slot;
  }
  return newest;
}

function digest(slot: Buffer): Buffer {
  const hash = createHash('sha256').update(slot.subarray(4, 16)).update(slot.subarray(HEADER_BYTES));
  return hash.digest().subarray(0, 16);
}
