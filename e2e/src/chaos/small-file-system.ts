/** A tmpfs of a known small size for a destination's image, which a file beside the image fills up. Needs root. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '@pageferry/scripts/harness';

/** Room for the largest image, and some more. */
const SIZE = '24m';
const CHUNK_BYTES = 2 ** 16;

export class SmallFileSystem {
  readonly directory: string;
  readonly #fillerPath: string;
  #isMounted = true;

  private constructor(directory: string) {
    this.directory = directory;
    this.#fillerPath = join(directory, 'filler');
  }

  /** Undefined where this user may not mount. */
  static mount(directory: string): SmallFileSystem | undefined {
    mkdirSync(directory);
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', directory]);
    return status === 0 ? new SmallFileSystem(directory) : undefined;
  }

  /** Leaves no room. */
  fill(): void {
    const file = openSync(this.#fillerPath, 'w');
    const chunk = new Uint8Array(CHUNK_BYTES).fill(1);
    try {
      for (;;) writeSync(file, chunk);
    } catch (error) {
      if (errorCode(error) !== 'ENOSPC') throw error;
    } finally {
      closeSync(file);
    }
  }

  /** Gives the room back. */
  free(): void {
    rmSync(this.#fillerPath, { force: true });
  }

  /** Once, however often it is called. */
  unmount(): void {
    if (this.#isMounted) spawnSync('umount', ['-l', this.directory]);
    this.#isMounted = false;
  }
}
