// The lane's own state, inside the image: the guest of a migration takes its counter along in its memory.
// Layout of the first 32 bytes of the header page, little-endian: magic, lane and version u32, seed u32, reserved u32,
// counter f64 (exact below 2^53), reserved u32, checksum u32 of the words before it.
import type { Lane } from './lane.ts';
import { mix } from './random.ts';

export const HEADER_BYTES = 32;
const MAGIC = 0x4c574650; // "PFWL"
const VERSION = 1;
const CHECKSUM_OFFSET = 28;

/** Writes a header into its own buffer; the counter is the number of the last operation that was done. */
export function encodeHeader(lane: Lane, counter: number): Uint8Array {
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  header.setUint32(0, MAGIC, true);
  header.setUint32(4, laneCode(lane), true);
  header.setUint32(8, lane.seed, true);
  header.setFloat64(16, counter, true);
  header.setUint32(CHECKSUM_OFFSET, checksum(header), true);
  return new Uint8Array(header.buffer);
}

/** The counter, or in words why this is not the lane's header. */
export function decodeHeader(lane: Lane, bytes: Uint8Array): number | string {
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if (header.getUint32(0, true) !== MAGIC) return 'the header page has no magic';
  if (header.getUint32(CHECKSUM_OFFSET, true) !== checksum(header)) return 'the header’s checksum is wrong';
  if (header.getUint32(4, true) !== laneCode(lane)) return 'the header is another lane’s';
  if (header.getUint32(8, true) !== lane.seed) return 'the header has another seed';
  return header.getFloat64(16, true);
}

function laneCode(lane: Lane): number {
  return (lane.name === 'docs' ? 1 : 2) * 0x100 + VERSION;
}

function checksum(header: DataView): number {
  const words = Array.from({ length: CHECKSUM_OFFSET / 4 }, (_, index) => header.getUint32(index * 4, true));
  return mix(0, ...words);
}
