// The system calls on image files that node:fs does not have. This package states what it needs; the binding is
// elsewhere (and a test's is its own), so that nothing here depends on native code.

/** File calls of Linux on an open descriptor. Offsets and lengths in bytes. Failures throw a system error. */
export interface FileCalls {
  /** lseek SEEK_DATA: the first byte of data at or after `offset`, or -1 if there is none (ENXIO). */
  seekData(fd: number, offset: number): number;
  /** lseek SEEK_HOLE: the first hole at or after `offset` (the file's end counts), or -1 beyond the end (ENXIO). */
  seekHole(fd: number, offset: number): number;
  /**
   * fallocate PUNCH_HOLE | KEEP_SIZE: the range reads as zeros and takes no space.
   * Throws an error whose `code` is EOPNOTSUPP where the file system cannot.
   */
  punchHole(fd: number, offset: number, length: number): void;
  /** flock LOCK_EX | LOCK_NB: true if the lock is held now, false if another open file holds one. */
  tryLockExclusive(fd: number): boolean;
}
