/**
 * Reads one direction of one connection from its first byte on, piece by piece, and says what is in it.
 *
 * The source's direction begins with a preamble, the destination's with a frame, so the first four bytes tell which it is.
 * What it takes at which place is what the daemons take there: hello (or its answer) first, data-hello or data-accept
 * first, and only the types of that connection afterwards. At most one frame is held in memory.
 */
import {
  beginsWithMagic,
  CONTROL_LIMITS,
  CONTROL_LIMITS_BEFORE_HELLO,
  DATA_LIMITS_AT_DESTINATION,
  DATA_LIMITS_AT_SOURCE,
  DATA_LIMITS_BEFORE_ACCEPT,
  decodePreamble,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  FrameSplitter,
  PREAMBLE_BYTES,
  type ConnectionKind,
  type Frame,
  type FrameLimits,
  type FrameType,
  type Side,
} from '@pageferry/protocol';
import type { Entry } from './entry.ts';
import { FrameContents } from './frame-content.ts';
import { hex } from './shown-message.ts';

export interface ReaderOptions {
  /** Whose direction it is; if absent, the first bytes tell. */
  readonly side?: Side | undefined;
  readonly showsRecords: boolean;
}

type Visit = (entry: Entry) => void;

/** Bytes that tell whether there is a preamble. */
const MAGIC_BYTES = 4;

/** What the source may send first, behind the preamble. */
const FIRST_OF_SOURCE: Readonly<Record<ConnectionKind, FrameLimits>> = {
  control: CONTROL_LIMITS_BEFORE_HELLO,
  data: DATA_LIMITS_BEFORE_ACCEPT,
};

/** What the destination may send first: the answer to hello, or data-accept. */
const FIRST_OF_DESTINATION: FrameLimits = {
  ...CONTROL_LIMITS_BEFORE_HELLO,
  [FRAME_TYPE.dataAccept]: DATA_LIMITS_AT_SOURCE[FRAME_TYPE.dataAccept] ?? 0,
};

export class StreamReader {
  readonly #options: ReaderOptions;
  /** Bytes from before it was known what follows. */
  #head: Uint8Array = new Uint8Array(0);
  #frames: FrameReader | undefined;
  #offset = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** Where the preamble or frame begins that was not read yet: after an error, the one that is wrong. */
  get offset(): number {
    return this.#frames?.offset ?? this.#offset;
  }

  /** Takes the next bytes and calls `visit` for what they complete. Throws ProtocolError; nothing can be read after that. */
  push(chunk: Uint8Array, visit: Visit): void {
    if (this.#frames !== undefined) {
      this.#frames.push(chunk, visit);
      return;
    }
    this.#head = Buffer.concat([this.#head, chunk]);
    const side = this.#side();
    if (side === 'destination') this.#begin('destination', FIRST_OF_DESTINATION, visit);
    else if (side === 'source' && this.#head.length >= PREAMBLE_BYTES) this.#readPreamble(visit);
  }

  /** The stream has ended. Throws ProtocolError (truncated) if that was within a preamble or frame. */
  end(visit: Visit): void {
    if (this.#frames === undefined) {
      if (this.#side() === 'source') this.#readPreamble(visit);
      else this.#begin('destination', FIRST_OF_DESTINATION, visit);
    }
    this.#frames?.end();
  }

  /** Undefined while that cannot be told. */
  #side(): Side | undefined {
    if (this.#options.side !== undefined) return this.#options.side;
    if (this.#head.length < MAGIC_BYTES) return undefined;
    return beginsWithMagic(this.#head) ? 'source' : 'destination';
  }

  #readPreamble(visit: Visit): void {
    const { kind, sessionId } = decodePreamble(this.#head.subarray(0, PREAMBLE_BYTES));
    visit({ offset: 0, type: 'preamble', kind, sessionId: hex(sessionId) });
    this.#head = this.#head.subarray(PREAMBLE_BYTES);
    this.#offset = PREAMBLE_BYTES;
    this.#begin('source', FIRST_OF_SOURCE[kind], visit);
  }

  #begin(side: Side, first: FrameLimits, visit: Visit): void {
    this.#frames = new FrameReader(side, first, this.#offset, this.#options);
    this.#frames.push(this.#head, visit);
  }
}

/** What follows the preamble, if there is one. */
class FrameReader {
  readonly #side: Side;
  readonly #splitter: FrameSplitter;
  readonly #contents: FrameContents;
  offset: number;

  constructor(side: Side, first: FrameLimits, offset: number, { showsRecords }: ReaderOptions) {
    this.#side = side;
    this.#splitter = new FrameSplitter(first);
    this.#contents = new FrameContents(side, showsRecords);
    this.offset = offset;
  }

  push(chunk: Uint8Array, visit: Visit): void {
    this.#splitter.push(chunk, (frame) => this.#take(frame, visit));
  }

  end(): void {
    this.#splitter.end();
  }

  #take(frame: Frame, visit: Visit): void {
    const { epoch, aux, payloadLengthBytes: length } = frame;
    const content = this.#contents.decode(frame);
    visit({ offset: this.offset, epoch, aux, length, ...content });
    this.offset += FRAME_HEADER_BYTES + length;
    this.#splitter.setLimits(limitsAfter(this.#side, frame.type));
  }
}

/** The first frame was one of the connection's kind, so any frame tells. */
function limitsAfter(side: Side, type: FrameType): FrameLimits {
  if (type === FRAME_TYPE.control || type === FRAME_TYPE.deviceState) return CONTROL_LIMITS;
  return side === 'source' ? DATA_LIMITS_AT_DESTINATION : DATA_LIMITS_AT_SOURCE;
}
