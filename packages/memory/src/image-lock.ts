// One migration per image: an exclusive flock on a descriptor of its own.
// Invariant: the lock lives as long as any process holds the descriptor. The engine inherits it, so an engine that
// outlived its daemon still keeps others away from the file that it may be writing. Hence release only closes:
// LOCK_UN would take the lock from the heir too.

import { closeSync, constants, openSync } from 'node:fs';
import { ioError, MemoryError } from './errors.ts';
import type { FileCalls } from './file-calls.ts';
import type { ImageHandle } from './image-file.ts';

/** A held lock. */
export interface ImageLock {
  /** To be passed in a child's `stdio`, which makes it inheritable. */
  readonly fd: number;
  readonly path: string;
  /** Closes our descriptor. The lock ends with the last one. */
  release(): void;
}

/**
 * Locks an open image. The file itself is opened once more (through /proc/self/fd), not its path, so that the lock
 * is on the same inode whatever happened to the name. Throws MemoryError: locked, io.
 */
export function lockImage({
  image,
  calls,
}: {
  readonly image: ImageHandle;
  readonly calls: FileCalls;
}): ImageLock {
  const { path } = image;
  const fd = openAgain(image, 'lock');
  try {
    if (!calls.tryLockExclusive(fd)) throw new MemoryError({ code: 'locked', path });
  } catch (error) {
    closeSync(fd);
    throw error instanceof MemoryError ? error : ioError('lock', path, error);
  }
  return { fd, path, release: () => closeSync(fd) };
}

/** The same file whatever its name leads to, read-only, as an open file of its own. Throws MemoryError `io`. */
export function openAgain({ fd, path }: ImageHandle, operation: string): number {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY);
  } catch (error) {
    throw ioError(operation, path, error);
  }
}
