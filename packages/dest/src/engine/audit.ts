/**
 * `destination-reread`: every extent that was written is read back and digested again, while the stream has nothing
 * else to do; what is left of that is done after the pause, before `ready`.
 *
 * Invariant: an extent is either in `#written` or was read back after the last page was applied to it.
 */
import type { ShardChunk } from '@pageferry/memory';
import type { FileDigests } from './file-digests.ts';
import type { ExtentName } from './messages.ts';

interface Written {
  readonly block: number;
  readonly chunk: ShardChunk;
  readonly file: FileDigests;
}

export class Audit {
  readonly #written = new Map<string, Written>();

  /** Pages of the extent were applied. */
  wrote(written: Written): void {
    this.#written.set(`${written.block}/${written.chunk.chunk}`, written);
  }

  get isDone(): boolean {
    return this.#written.size === 0;
  }

  /** Reads back extents until `untilMs` (performance.now()) or none is left. Those that differ come back. */
  run(untilMs: number): ExtentName[] {
    const differing: ExtentName[] = [];
    for (const [key, { block, chunk, file }] of this.#written) {
      if (performance.now() >= untilMs) break;
      this.#written.delete(key);
      if (!file.check(chunk)) differing.push({ block, extent: chunk.chunk });
    }
    return differing;
  }
}
