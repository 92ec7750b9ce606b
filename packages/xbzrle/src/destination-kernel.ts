// The destination's page kernel: checks and applies deltas, and digests what arrived, in the buffers that the
// caller receives into and writes to the image from. Offsets and lengths of payloads come from the peer's
// records; the caller bounds them by the frame, and a payload that is malformed changes nothing.
import assert from 'node:assert/strict';
import {
  BATCH_PAGES,
  DESTINATION_PREFIX_BYTES,
  DIGEST_BYTES,
  EXTENT_PAGES,
  FRAME_RECORDS_MAX_BYTES,
  PAGE_SIZE,
  SECRET_BYTES,
} from './constants.ts';
import { instantiateKernel, type Kernel } from './wasm.ts';

export class DestinationKernel {
  /** Receive buffer of one frame: DESTINATION_PREFIX_BYTES for its own header, then the records. */
  readonly frame: Uint8Array;
  /** BATCH_PAGES pages: where the old content of pages is read to, patched, and written to the image from. */
  readonly staging: Uint8Array;
  /** EXTENT_PAGES digests. In: the table's, of the pages of the call. Out: the table's new ones. */
  readonly digests: Uint8Array;
  /** The root of the extent that the pages are in, in and out. */
  readonly root: Uint8Array;

  readonly #kernel: Kernel;
  readonly #frameAt: number;
  readonly #stagingAt: number;

  /** @throws XbzrleError `kernel-missing`, `kernel-mismatch` */
  constructor({ secret }: { readonly secret: Uint8Array }) {
    assert(secret.length === SECRET_BYTES);
    this.#kernel = instantiateKernel((sizes) => sizes.destinationMemoryBytes());
    const { exports, memory } = this.#kernel;
    const view = (at: number, length: number): Uint8Array => new Uint8Array(memory, at, length);
    this.#frameAt = exports.destinationFrame();
    this.#stagingAt = exports.destinationStaging();
    this.frame = view(this.#frameAt, DESTINATION_PREFIX_BYTES + FRAME_RECORDS_MAX_BYTES);
    this.staging = view(this.#stagingAt, BATCH_PAGES * PAGE_SIZE);
    this.digests = view(exports.digestsArea(), EXTENT_PAGES * DIGEST_BYTES);
    this.root = view(exports.rootArea(), DIGEST_BYTES);
    view(exports.secretArea(), SECRET_BYTES).set(secret);
    exports.useSecret(this.#stagingAt);
  }

  /** Digests pages that lie in the frame from `frameOffset` on; at most BATCH_PAGES. */
  digestFramePages(frameOffset: number, firstBlockPage: number, pageCount: number): void {
    assert(pageCount >= 1 && pageCount <= BATCH_PAGES);
    this.#checkFrame(frameOffset, pageCount * PAGE_SIZE);
    this.#digest(this.#frameAt + frameOffset, firstBlockPage, pageCount);
  }

  /** Digests the first pages of `staging`; at most BATCH_PAGES. */
  digestStaging(firstBlockPage: number, pageCount: number): void {
    assert(pageCount >= 1 && pageCount <= BATCH_PAGES);
    this.#digest(this.#stagingAt, firstBlockPage, pageCount);
  }

  /** Gives pages the zero page's digest; at most EXTENT_PAGES. */
  zeroPages(firstBlockPage: number, pageCount: number): void {
    assert(pageCount >= 1 && pageCount <= EXTENT_PAGES);
    assert(firstBlockPage >= 0 && firstBlockPage + pageCount <= 2 ** 32);
    this.#kernel.exports.zeroPages(firstBlockPage, pageCount);
  }

  /** Whether the payload in the frame is one that `decode` accepts. */
  isValidDelta(frameOffset: number, length: number): boolean {
    this.#checkFrame(frameOffset, length);
    return this.#kernel.exports.isValidDelta(this.#frameAt + frameOffset, length) !== 0;
  }

  /**
   * Patches one page of `staging` by the payload in the frame.
   *
   * @returns false if the payload is malformed; the page is then as it was
   */
  applyDelta(stagingPage: number, frameOffset: number, length: number): boolean {
    assert(Number.isInteger(stagingPage) && stagingPage >= 0 && stagingPage < BATCH_PAGES);
    this.#checkFrame(frameOffset, length);
    const page = this.#stagingAt + stagingPage * PAGE_SIZE;
    return this.#kernel.exports.applyDelta(page, this.#frameAt + frameOffset, length) !== 0;
  }

  #digest(address: number, firstBlockPage: number, pageCount: number): void {
    assert(firstBlockPage >= 0 && firstBlockPage + pageCount <= 2 ** 32);
    this.#kernel.exports.digestPages(address, firstBlockPage, pageCount);
  }

  #checkFrame(frameOffset: number, length: number): void {
    assert(Number.isInteger(frameOffset) && frameOffset >= 0 && Number.isInteger(length) && length >= 0);
    assert(frameOffset + length <= this.frame.length, 'outside the frame');
  }
}
