/** Who writes to the images through memory, and whether their soft-dirty bits are ours to clear and to read. */
import {
  findAccessProblem,
  findSoftDirtyProblem,
  findWriters,
  hugePageBytes,
  ProcessLocks,
  type WatchedImage,
  type WatchedWriters,
} from '@pageferry/memory';
import { system } from '@pageferry/transport';

export class TrackableWriters {
  readonly #proc: { readonly proc: string };
  readonly #locks: ProcessLocks;

  constructor(proc: { readonly proc: string }) {
    this.#proc = proc;
    this.#locks = new ProcessLocks(system, proc);
  }

  /**
   * Locks them, so that no other migration clears their bits; in words why the bits cannot be used. Undefined, and nothing
   * is locked, where `isWanted` says that nobody waits for the answer any more.
   */
  async find(
    images: readonly WatchedImage[],
    isWanted: () => boolean,
  ): Promise<readonly WatchedWriters[] | string | undefined> {
    const problem = findSoftDirtyProblem(this.#proc);
    if (problem !== undefined) return problem;
    const onHugetlbfs = images.find((image) => hugePageBytes(image) !== undefined);
    if (onHugetlbfs !== undefined)
      return `${onHugetlbfs.path} is on hugetlbfs, whose pages have no such bits`;
    const { images: writers } = await findWriters(images, this.#proc);
    if (!isWanted()) return undefined;
    const watched = images.map(({ path, device, inode }, index) => ({
      file: { path, device, inode },
      writers: writers[index] ?? [],
    }));
    const unmapped = watched.find((each) => each.writers.length === 0);
    if (unmapped !== undefined) return `no process maps ${unmapped.file.path} shared and writable`;
    const pids = pidsOf(watched);
    for (const pid of pids) {
      const refused = findAccessProblem(pid, this.#proc);
      if (refused !== undefined) return refused;
    }
    const taken = this.#locks.take(pids);
    return taken === undefined ? watched : `another migration tracks process ${taken}`;
  }

  /** Others may track these processes. */
  release(): void {
    this.#locks.release();
  }
}

/** Every process once for each image that it maps. */
export function pidsOf(watched: readonly WatchedWriters[]): number[] {
  return watched.flatMap(({ writers }) => writers.map(({ pid }) => pid));
}
