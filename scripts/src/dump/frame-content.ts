/**
 * The content of the frames of one direction of one connection, by the protocol's own decoders: what they refuse, a dump
 * refuses with the same words.
 *
 * A dump sees one direction only. So a proof is not checked, a page index has only the limits of any block, and an
 * answer of the digest exchange stands by itself; what one direction can tell is checked: the epoch, the connection's
 * stream, the order of pieces of device state. Nothing of a page or of device state is shown.
 */
import {
  BLOCK_PAGES_MAX,
  BLOCKS_MAX,
  checkEpoch,
  decodeDataAccept,
  decodeDestinationMessage,
  decodeDeviceStatePiece,
  decodeDigestRequest,
  decodePagesHeader,
  decodeSourceMessage,
  decodeStreamRoundEnd,
  decodeUnaskedDigestAnswer,
  decodeUnprovenDataHello,
  DIGEST_SIZE_BYTES,
  digestExchangeOf,
  EXTENT_SIZE_PAGES,
  FRAME_TYPE,
  PageRecordTable,
  PAGES_HEADER_BYTES,
  type DigestBounds,
  type Frame,
  type Side,
} from '@pageferry/protocol';
import type { DigestContent, FrameContent } from './entry.ts';
import { recordEntries, summarizeRecords } from './page-records.ts';
import { lengthOnly, shownMessage } from './shown-message.ts';

/** Bytes of a data-hello in front of its proof. */
const DATA_HELLO_FACTS_BYTES = 4;

export class FrameContents {
  readonly #side: Side;
  readonly #showsRecords: boolean;
  readonly #records = new PageRecordTable();
  /** Of the first frame: a connection has one. */
  #epoch: number | undefined;
  /** Of data-hello or data-accept, which come first. */
  #stream = 0;
  #deviceStateBytes = 0;

  constructor(side: Side, showsRecords: boolean) {
    this.#side = side;
    this.#showsRecords = showsRecords;
  }

  /** Throws ProtocolError. */
  decode(frame: Frame): FrameContent {
    this.#epoch ??= frame.epoch;
    checkEpoch(frame, this.#epoch);
    const { payload } = frame;
    switch (frame.type) {
      case FRAME_TYPE.control: {
        const decode = this.#side === 'source' ? decodeSourceMessage : decodeDestinationMessage;
        return { type: 'control', message: shownMessage(decode(payload)) };
      }
      case FRAME_TYPE.pages:
        return this.#pages(payload);
      case FRAME_TYPE.dataHello: {
        const facts = decodeUnprovenDataHello(payload);
        this.#stream = facts.stream;
        return { type: 'data-hello', ...facts, proof: lengthOnly(payload.subarray(DATA_HELLO_FACTS_BYTES)) };
      }
      case FRAME_TYPE.dataAccept:
        this.#stream = decodeDataAccept(payload);
        return { type: 'data-accept', stream: this.#stream };
      case FRAME_TYPE.streamRoundEnd: {
        const end = decodeStreamRoundEnd(payload);
        return { type: 'stream-round-end', ...end };
      }
      case FRAME_TYPE.deviceState:
        return this.#deviceState(payload);
      case FRAME_TYPE.extentRoots:
        return this.#digests('extent-roots', BLOCK_PAGES_MAX / EXTENT_SIZE_PAGES, frame);
      case FRAME_TYPE.pageDigests:
        return this.#digests('page-digests', BLOCK_PAGES_MAX, frame);
    }
  }

  #pages(payload: Uint8Array): FrameContent {
    const header = decodePagesHeader(payload, { stream: this.#stream, blockCount: BLOCKS_MAX });
    this.#records.decode(payload, PAGES_HEADER_BYTES, BLOCK_PAGES_MAX);
    const kinds = summarizeRecords(this.#records);
    const records = this.#showsRecords ? { records: recordEntries(this.#records) } : {};
    return { type: 'pages', ...header, kinds, ...records };
  }

  #deviceState(payload: Uint8Array): FrameContent {
    const { offsetBytes, totalBytes, piece } = decodeDeviceStatePiece(payload, this.#deviceStateBytes);
    this.#deviceStateBytes += piece.length;
    return { type: 'device-state', pieceOffset: offsetBytes, pieceBytes: piece.length, totalBytes };
  }

  #digests(type: DigestContent['type'], limit: number, { aux, payload }: Frame): FrameContent {
    const bounds: DigestBounds = { stream: this.#stream, blockCount: BLOCKS_MAX, limitOf: () => limit };
    if (digestExchangeOf(aux) === 'request')
      return { type, exchange: 'request', ...decodeDigestRequest(payload, bounds) };
    const { digests, ...range } = decodeUnaskedDigestAnswer(payload, bounds);
    return { type, exchange: 'answer', ...range, unknownCount: countUnknown(digests) };
  }
}

function countUnknown(digests: Uint8Array): number {
  let count = 0;
  for (let offset = 0; offset < digests.length; offset += DIGEST_SIZE_BYTES) {
    if (digests.subarray(offset, offset + DIGEST_SIZE_BYTES).every((byte) => byte === 0)) count += 1;
  }
  return count;
}
