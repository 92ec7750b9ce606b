/**
 * Collects frames from a byte stream that is read straight into `target`: header, then payload where the
 * handler wants it. No I/O, and no copy.
 */
import {
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type FrameLimits,
} from '@pageferry/protocol/wire';

export interface FrameHandler {
  /** What the connection takes at this moment; asked for every frame. */
  limits(): FrameLimits;
  /** Memory of at least `header.payloadLengthBytes` for this frame's payload; throws if the frame is not acceptable. */
  place(header: FrameHeader): Uint8Array;
  /** A whole frame; `payload` is the memory that `place` gave, cut to length, and is reused after the return. */
  received(header: FrameHeader, payload: Uint8Array): void;
  /** The connection is over: an error of the socket, of a handler, or the peer's end. Called once. */
  ended(error: Error): void;
}

export class FrameReceiver {
  readonly #handler: FrameHandler;
  readonly #headerBytes = Buffer.alloc(FRAME_HEADER_BYTES);
  #header: FrameHeader | undefined;
  #payload: Uint8Array = this.#headerBytes;
  #target: Uint8Array = this.#headerBytes;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** What the next read may fill: exactly the rest of a header or of a payload, never empty. */
  get target(): Uint8Array {
    return this.#target;
  }

  /** Whether a frame has begun and is not complete. */
  get isMidFrame(): boolean {
    return this.#header !== undefined || this.#target.length < this.#headerBytes.length;
  }

  /** Tells that `byteCount` bytes were read into `target`. @throws whatever the header or the handler objects to. */
  filled(byteCount: number): void {
    this.#target = this.#target.subarray(byteCount);
    if (this.#target.length > 0) return;
    if (this.#header === undefined) {
      const header = decodeFrameHeader(this.#headerBytes, this.#handler.limits());
      // No frame type has an empty payload, so the target is never empty.
      this.#header = header;
      this.#payload = this.#handler.place(header).subarray(0, header.payloadLengthBytes);
      this.#target = this.#payload;
      return;
    }
    const header = this.#header;
    this.#header = undefined;
    this.#target = this.#headerBytes;
    this.#handler.received(header, this.#payload);
  }
}
