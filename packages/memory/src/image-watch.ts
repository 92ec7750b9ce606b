// Whether anybody does to an image what no soft-dirty bit tells: opens it (to map it, perhaps, and be gone before anybody
// looks), writes to it by a call, truncates it or makes a hole in it, by fallocate or MADV_REMOVE. Writing to memory that
// is mapped is none of these. By inotify(7), on the file that is open, whatever its names are.
// Invariant: an event is in the queue when the call returns, so what was done before the question is in the answer.

import { closeSync, readSync } from 'node:fs';
import { errnoOf, ioError } from './errors.ts';
import type { WatchCalls } from './file-calls.ts';
import type { ImageHandle } from './image-file.ts';

/** Any number of events fits: the first one is enough. */
const EVENTS_BYTES = 4096;

export class ImageWatch {
  readonly #path: string;
  #fd: number | undefined;
  #isTouched = false;

  /** A system that cannot watch (too many watches, no inotify) is no error: `isTouched` is not known then. */
  constructor({ image, calls }: { readonly image: ImageHandle; readonly calls: WatchCalls }) {
    this.#path = image.path;
    try {
      this.#fd = calls.watchFile(`/proc/self/fd/${image.fd}`);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      this.#fd = undefined;
    }
  }

  /** Since the watch was made; undefined where that is not known, as after `close`. Throws MemoryError `io`. */
  get isTouched(): boolean | undefined {
    if (this.#fd === undefined) return undefined;
    this.#isTouched ||= hasEvents(this.#fd, this.#path);
    return this.#isTouched;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

function hasEvents(fd: number, path: string): boolean {
  try {
    return readSync(fd, new Uint8Array(EVENTS_BYTES)) > 0;
  } catch (error) {
    if (errnoOf(error) === 'EAGAIN') return false;
    throw ioError('watch', path, error);
  }
}
