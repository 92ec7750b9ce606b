// One migration per process that is tracked: clearing soft-dirty bits is for the whole process, so a second clear would
// take from the first what it has not read yet.
// Invariant: the lock is an flock on the process's own pagemap in procfs, on a descriptor of its own. It ends with the
// daemon and leaves no file behind; while it is held, the inode stays the same for everybody who opens it.

import { closeSync, openSync } from 'node:fs';
import { ioError } from './errors.ts';
import type { FileCalls } from './file-calls.ts';
import { isGone } from './proc-maps.ts';

/** The locks of one migration; they add up over its attempts. */
export class ProcessLocks {
  readonly #calls: FileCalls;
  readonly #proc: string;
  readonly #held = new Map<number, number>();

  constructor(calls: FileCalls, { proc = '/proc' } = {}) {
    this.#calls = calls;
    this.#proc = proc;
  }

  /**
   * Locks these processes too. The result is the first one that another migration holds; those before it stay locked.
   * One that has ended needs no lock. Throws MemoryError `io`.
   */
  take(pids: Iterable<number>): number | undefined {
    for (const pid of pids) {
      if (this.#held.has(pid)) continue;
      const path = `${this.#proc}/${pid}/pagemap`;
      const fd = openUnlessGone(path);
      if (fd === undefined) continue;
      if (!this.#calls.tryLockExclusive(fd)) {
        closeSync(fd);
        return pid;
      }
      this.#held.set(pid, fd);
    }
    return undefined;
  }

  release(): void {
    for (const fd of this.#held.values()) closeSync(fd);
    this.#held.clear();
  }
}

function openUnlessGone(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (isGone(error)) return undefined;
    throw ioError('open', path, error);
  }
}
