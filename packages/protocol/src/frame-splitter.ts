/**
 * Cuts a byte stream into frames, without I/O: for control connections, tests and tools. (Data connections read a header
 * and then exactly its payload into their own buffers, and share only decodeFrameHeader.)
 *
 * Invariant: memory is allocated for a payload only after its header passed the limits that hold at that moment, and
 * nothing of a chunk is kept by reference: every payload is a copy of its own.
 */
import { ProtocolError } from './errors.ts';
import {
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  type Frame,
  type FrameHeader,
  type FrameLimits,
} from './frame.ts';

type SplitterState =
  | { readonly at: 'header' }
  | { readonly at: 'payload'; readonly header: FrameHeader; readonly payload: Uint8Array }
  | { readonly at: 'failed'; readonly error: unknown };

export class FrameSplitter {
  #limits: FrameLimits;
  #state: SplitterState = { at: 'header' };
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  /** Bytes of the current header or payload that are there. */
  #filledBytes = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** Holds from the next header on, also for the rest of a chunk when it is called by `visit`. */
  setLimits(limits: FrameLimits): void {
    this.#limits = limits;
  }

  /**
   * Takes the next bytes of the stream and calls `visit` for every frame that they complete, in order. The chunk may be
   * reused afterwards; a frame's payload belongs to the visitor. After an error, of the decoder or of the visitor, the
   * stream is out of step: every further push throws that same error.
   * Throws ProtocolError as decodeFrameHeader does.
   */
  push(chunk: Uint8Array, visit: (frame: Frame) => void): void {
    if (this.#state.at === 'failed') {
      throw this.#state.error;
    }
    try {
      let offset = 0;
      while (offset < chunk.length) {
        offset += this.#take(chunk.subarray(offset), visit);
      }
    } catch (error) {
      this.#state = { at: 'failed', error };
      throw error;
    }
  }

  /** The stream has ended. Throws ProtocolError truncated when that was within a frame. */
  end(): void {
    const state = this.#state;
    if (state.at === 'failed') {
      throw state.error;
    }
    if (state.at === 'payload' || this.#filledBytes > 0) {
      const neededBytes = state.at === 'payload' ? state.header.payloadLengthBytes : FRAME_HEADER_BYTES;
      throw new ProtocolError({
        code: 'truncated',
        what: state.at === 'payload' ? 'frame payload' : 'frame header',
        neededBytes,
        availableBytes: this.#filledBytes,
      });
    }
  }

  /** Moves bytes to where the state wants them; gives how many, at least one. */
  #take(rest: Uint8Array, visit: (frame: Frame) => void): number {
    const state = this.#state;
    const target = state.at === 'payload' ? state.payload : this.#header;
    const takenBytes = Math.min(rest.length, target.length - this.#filledBytes);
    target.set(rest.subarray(0, takenBytes), this.#filledBytes);
    this.#filledBytes += takenBytes;
    if (this.#filledBytes === target.length) {
      this.#filledBytes = 0;
      if (state.at === 'payload') {
        this.#state = { at: 'header' };
        visit({ ...state.header, payload: state.payload });
      } else {
        const header = decodeFrameHeader(this.#header, this.#limits);
        this.#state = { at: 'payload', header, payload: new Uint8Array(header.payloadLengthBytes) };
      }
    }
    return takenBytes;
  }
}
