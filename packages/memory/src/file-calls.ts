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
  /**
   * Copies the bytes into the file through a mapping (mmap MAP_SHARED, PROT_WRITE) that lasts as long as the call, for
   * files that write() refuses. `alignment`: of mappings of this file, a power of two, bytes. The mapping allocates what
   * it needs before it is touched: ENOMEM if there is no huge page left.
   */
  writeMapped(fd: number, offset: number, bytes: Uint8Array, alignment: number): void;
  /** flock LOCK_EX | LOCK_NB: true if the lock is held now, false if another open file holds one. */
  tryLockExclusive(fd: number): boolean;
}

/** Calls on a mapped file. Failures throw a system error. */
export interface MappingCalls {
  /**
   * mmap MAP_SHARED | MAP_FIXED, PROT_READ: replaces the memory of `target` by the file from `offset` on, both
   * page-aligned. The file may have holes; memory behind its end must not be touched.
   */
  mapReadOnly(fd: number, offset: number, target: Uint8Array): void;
  /** mincore: sets bit 0 of a byte for each page of mapped memory if touching the page brings nothing into memory. */
  residentPages(mapped: Uint8Array, resident: Uint8Array): void;
  /** madvise MADV_POPULATE_READ: builds page tables at once. A hole would be allocated. Only saves time: it may fail. */
  populate(mapped: Uint8Array): void;
}

/** A call on a file that is watched. A failure throws a system error. */
export interface WatchCalls {
  /**
   * A descriptor of inotify that does not block, with a watch on the file for IN_OPEN and IN_MODIFY: it reads as EAGAIN
   * as long as neither has happened.
   */
  watchFile(path: string): number;
}

/** Read leases of fcntl(2), on a descriptor that is open for reading only. Failures throw a system error. */
export interface LeaseCalls {
  /**
   * F_SETLEASE F_RDLCK: EAGAIN if anybody has the file open for writing. No signal comes when it is broken, or only one
   * that is ignored.
   */
  takeReadLease(fd: number): void;
  /** F_GETLEASE: whether the lease is held and nobody is waiting for it to end. */
  hasReadLease(fd: number): boolean;
}
