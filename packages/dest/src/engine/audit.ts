/**
 * `destination-reread`: every extent that was written is read back and digested again, while the stream has nothing
 * else to do; what is left of that is done after the pause, before `ready`.
 *
 * Invariant: an extent is either in `#written` or was read back after the last page was applied to it. Noting one that
 * is there already allocates nothing: it is done for every run of pages.
 */
import type { FileDigests } from './file-digests.ts';
import type { ExtentName } from './messages.ts';

export class Audit {
  readonly #files: readonly FileDigests[];
  /** Extents by their index in the block, a set a block. */
  readonly #written: readonly Set<number>[];

  /** `files`: one a block, in their order. */
  constructor(files: readonly FileDigests[]) {
    this.#files = files;
    this.#written = files.map(() => new Set());
  }

  /** Pages of the extent were applied. */
  wrote(block: number, extent: number): void {
    this.#written[block]?.add(extent);
  }

  get isDone(): boolean {
    return this.#written.every(({ size }) => size === 0);
  }

  /** Reads back extents until `untilMs` (performance.now()) or none is left. Those that differ come back. */
  run(untilMs: number): ExtentName[] {
    const differing: ExtentName[] = [];
    for (const [block, file] of this.#files.entries()) {
      const written = this.#written[block] ?? new Set();
      for (const extent of written) {
        if (performance.now() >= untilMs) return differing;
        written.delete(extent);
        if (!file.check(extent)) differing.push({ block, extent });
      }
    }
    return differing;
  }
}
