// The kernel's word that nobody has an image open for writing: a read lease on it (fcntl(2), F_SETLEASE).
// Invariant: while the lease is held, the file has not been written, mapped writable, truncated or punched since it was
// taken. It is not given while anybody has the file open for writing, a writable mapping included (which keeps its open
// file); whoever opens it for writing or truncates it waits until the lease is released, and `isHeld` is false from then
// on. (An image is opened by its path: what has none, a memfd, gets a lease whoever writes to it. Pages that a device or an
// io_uring pinned through a mapping that is gone can still be written.) So it is a proof only for an image that nobody uses: a guest, even one that is paused, has its memory open.
// Whoever waits does so for fs.lease-break-time (45 s): a lease that is broken is to be released at once.

import { closeSync } from 'node:fs';
import { errnoOf } from './errors.ts';
import type { LeaseCalls } from './file-calls.ts';
import { BTRFS_MAGIC, EXT_MAGIC, fileSystemTypeOf, TMPFS_MAGIC, XFS_MAGIC } from './file-system.ts';
import type { ImageHandle } from './image-file.ts';
import { openAgain } from './image-lock.ts';

/**
 * File systems that are only written through this kernel's files. Behind others (NFS, FUSE, overlayfs) somebody may write
 * whom the lease does not keep out.
 */
const LEASED_FILE_SYSTEMS: ReadonlySet<number> = new Set([TMPFS_MAGIC, EXT_MAGIC, XFS_MAGIC, BTRFS_MAGIC]);

/** Why there is no lease, for those errors of F_SETLEASE that have a meaning of their own. */
const REASONS: Readonly<Record<string, string>> = {
  EAGAIN: 'a process has it open for writing',
  EACCES: 'it belongs to another user (CAP_LEASE is missing)',
  EINVAL: 'this system gives no leases (fs.leases-enable)',
};

export interface ImageLeaseOptions {
  readonly image: ImageHandle;
  readonly calls: LeaseCalls;
}

export class ImageLease {
  readonly path: string;
  readonly #calls: LeaseCalls;
  /** A descriptor of its own, which no other process is given: the lease ends with it. */
  #fd: number | undefined;

  private constructor({ image, calls }: ImageLeaseOptions, fd: number) {
    this.path = image.path;
    this.#calls = calls;
    this.#fd = fd;
  }

  /** Takes the lease; in words why there is none. Throws MemoryError `io` if the image cannot be opened again. */
  static take(options: ImageLeaseOptions): ImageLease | string {
    const { image, calls } = options;
    if (!LEASED_FILE_SYSTEMS.has(fileSystemTypeOf(image)))
      return `${image.path}: on its file system a lease does not keep every writer out`;
    const fd = openAgain(image, 'lease');
    try {
      calls.takeReadLease(fd);
      return new ImageLease(options, fd);
    } catch (error) {
      closeSync(fd);
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      return `${image.path}: ${REASONS[errno] ?? `no lease on it: ${errno}`}`;
    }
  }

  /** Nobody has opened the image for writing since the lease was taken. False for good after `release`. */
  get isHeld(): boolean {
    return this.#fd !== undefined && this.#calls.hasReadLease(this.#fd);
  }

  /** Lets whoever waits for the image go on. */
  release(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
