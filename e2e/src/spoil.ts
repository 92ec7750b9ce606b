/** A frame that is not what was sent: a bit of it is another, or the connection ends within it. */
import { FRAME_HEADER_BYTES } from '@pageferry/protocol';
import type { Passage, Sight } from './relay.ts';

export interface Spoil {
  /** Which frame: the next one of pages, or the next control message that is no ping. */
  readonly carrier: 'pages' | 'control';
  readonly part: 'header' | 'payload';
  /** A bit is flipped, or the frame is cut off there and the connection closed. */
  readonly deed: 'flip' | 'truncate';
  /** Where in that part, 0 to 1. */
  readonly share: number;
  /** 0 to 7. */
  readonly bit: number;
}

/** What a frame counts as; undefined for what nothing spoils. */
export function carrierOf(sight: Sight | undefined): Spoil['carrier'] | undefined {
  switch (sight?.name) {
    case undefined:
    case 'ping':
    case 'pong':
    case 'stream-round-end':
    case 'data-hello':
    case 'data-accept':
      return undefined;
    case 'pages':
      return 'pages';
    default:
      return 'control';
  }
}

/** The spoilt frame. Takes over `bytes`. */
export function spoilt(bytes: Uint8Array, { part, deed, share, bit }: Spoil): Passage {
  const start = part === 'header' ? 0 : FRAME_HEADER_BYTES;
  const end = part === 'header' ? FRAME_HEADER_BYTES : bytes.length;
  const at = Math.min(end - 1, start + Math.floor(share * (end - start)));
  if (deed === 'truncate') return { bytes: bytes.subarray(0, at), isLast: true };
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  return { bytes, isLast: false };
}
