// The images of a migration, open and locked, in the order of their blocks on the wire.
// Invariant: what is in the set is both open and locked; what fails to be locked is closed again. What is open stays
// the same file whatever happens to its name, because these very descriptors are given to the engine.

import { accessSync, constants, fstatSync, statSync } from 'node:fs';
import type { FileCalls } from './file-calls.ts';
import { errnoOf, ioError, MemoryError } from './errors.ts';
import { identityOf, isSameFile } from './file-identity.ts';
import { openImage, type Image, type OpenImageOptions } from './image-file.ts';
import { lockImage, type ImageLock } from './image-lock.ts';

// stat counts in these, whatever the file system's blocks are.
const BYTES_PER_STAT_BLOCK = 512;

/** A block's image. */
export interface OpenBlock {
  readonly id: string;
  readonly image: Image;
  readonly lock: ImageLock;
}

/** Grows by `open`; `close` lets all of it go. */
export class ImageSet {
  readonly #calls: FileCalls;
  readonly #blocks: OpenBlock[] = [];

  constructor(calls: FileCalls) {
    this.#calls = calls;
  }

  get blocks(): readonly OpenBlock[] {
    return this.#blocks;
  }

  /**
   * Opens and locks one more image; `check` may refuse it in between, by throwing.
   * Throws MemoryError as openImage and lockImage do; the set is then as before.
   */
  open(id: string, options: OpenImageOptions, check: (image: Image) => void = () => undefined): Image {
    const image = openImage(options);
    try {
      check(image);
      this.#blocks.push({ id, image, lock: lockImage({ image, calls: this.#calls }) });
      return image;
    } catch (error) {
      image.close();
      throw error;
    }
  }

  /** Memory of all blocks. */
  get sizeBytes(): number {
    return this.#blocks.reduce((sum, { image }) => sum + image.sizeBytes, 0);
  }

  /** What the files take up, which is what a scan has to read. */
  get allocatedBytes(): number {
    return this.#blocks.reduce(
      (sum, { image }) => sum + fstatSync(image.fd).blocks * BYTES_PER_STAT_BLOCK,
      0,
    );
  }

  /** Images, then their locks: what an engine is given. */
  get files(): number[] {
    return [...this.#blocks.map(({ image }) => image.fd), ...this.#blocks.map(({ lock }) => lock.fd)];
  }

  /**
   * Checks that each image is still what its path leads to, for whoever opens it by its name next: the guest.
   * Throws MemoryError: missing, replaced, io.
   */
  checkNames(): void {
    for (const { image } of this.#blocks) checkName(image);
  }

  close(): void {
    for (const { image, lock } of this.#blocks.splice(0)) {
      lock.release();
      image.close();
    }
  }
}

function checkName(image: Image): void {
  const { path } = image;
  try {
    if (!isSameFile(identityOf(statSync(path, { bigint: true })), image))
      throw new MemoryError({ code: 'replaced', path });
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    if (error instanceof MemoryError) throw error;
    if (errnoOf(error) === 'ENOENT') throw new MemoryError({ code: 'missing', path }, { cause: error });
    throw ioError('open', path, error);
  }
}
