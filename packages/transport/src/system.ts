/**
 * The system calls that node:fs lacks: holes, whole-file locks, duplicated descriptors, death signals.
 *
 * With descriptors.ts this is all that binds koffi. Every call is synchronous and takes well under a microsecond of
 * overhead (0.12 µs measured); none is made per page. Linux, 64-bit `off_t`.
 */
import koffi from 'koffi';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { TransportError } from './errors.ts';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const LOCK_EX = 2;
const LOCK_NB = 4;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_SHARED_FIXED = 0x01 | 0x10;
const MADV_POPULATE_READ = 22;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct ucred: pid, uid and gid, 32 bits each. */
const UCRED_BYTES = 12;
const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;
const IN_MODIFY = 0x2;
const IN_OPEN = 0x20;
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_GETLEASE = 1025;
const F_RDLCK = 0;
const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;
const PR_SET_PDEATHSIG = 1;
const { SIGKILL, SIGURG } = constants.signals;

/** The running process itself: libc's symbols whatever its file is called. */
const libc = koffi.load(null);
const lseek = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');
const fallocate = libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
const flock = libc.func('int flock(int fd, int operation)');
const dup = libc.func('int dup(int fd)');
const mmap = libc.func(
  'intptr_t mmap(void *at, size_t length, int protection, int flags, int fd, int64_t offset)',
);
const munmap = libc.func('int munmap(intptr_t at, size_t length)');
const memcpy = libc.func('intptr_t memcpy(intptr_t target, const void *source, size_t length)');
const mincore = libc.func('int mincore(void *at, size_t length, void *resident)');
const madvise = libc.func('int madvise(void *at, size_t length, int advice)');
const setsockopt = libc.func(
  'int setsockopt(int fd, int level, int option, const void *value, uint32_t length)',
);
const getsockopt = libc.func(
  'int getsockopt(int fd, int level, int option, void *value, _Inout_ uint32_t *length)',
);
const inotifyInit = libc.func('int inotify_init1(int flags)');
const inotifyAddWatch = libc.func('int inotify_add_watch(int fd, const char *path, uint32_t mask)');
const fcntl = libc.func('int fcntl(int fd, int command, ...)');
const prctl = libc.func('int prctl(int option, uint64_t argument)');

const errnoNames = new Map<number, string>(
  // EWOULDBLOCK is the same number.
  [...Object.entries(constants.errno), ['EAGAIN', constants.errno.EAGAIN] as const].map(([name, number]) => [
    number,
    name,
  ]),
);

/** The error of the call that has just failed; `code` is the errno's name, as in node's own errors. */
function systemError(syscall: string): TransportError & { readonly code: string } {
  const code = errnoNames.get(koffi.errno()) ?? `errno ${koffi.errno()}`;
  return Object.assign(new TransportError({ code: 'SYSTEM_CALL', syscall, errno: code }), { code });
}

function seek(fd: number, offset: number, whence: number, syscall: string): number {
  const result = Number(lseek(fd, offset, whence));
  if (result >= 0) return result;
  if (koffi.errno() === constants.errno.ENXIO) return -1;
  throw systemError(syscall);
}

/**
 * System calls by descriptor. Offsets and lengths are bytes. Each throws TransportError (fault SYSTEM_CALL; the
 * errno's name is its `code` too) unless its line says otherwise.
 */
export const system = {
  /** Offset of the first byte of data at or after `offset`; -1 if there is none (ENXIO). */
  seekData: (fd: number, offset: number): number => seek(fd, offset, SEEK_DATA, 'lseek(SEEK_DATA)'),

  /** Offset of the first hole at or after `offset` (the end of a file is one); -1 beyond the end. */
  seekHole: (fd: number, offset: number): number => seek(fd, offset, SEEK_HOLE, 'lseek(SEEK_HOLE)'),

  /** Makes the range read as zeros and frees its memory; the error's `code` is EOPNOTSUPP where files have no holes. */
  punchHole(fd: number, offset: number, length: number): void {
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) !== 0) {
      throw systemError('fallocate(PUNCH_HOLE)');
    }
  },

  /**
   * Copies the bytes into the file through a shared mapping that lasts as long as the call. `alignment`: of mappings of
   * this file (its huge pages'), a power of two, bytes. What is mapped is reserved: ENOMEM where no huge page is free.
   */
  writeMapped(fd: number, offset: number, bytes: Uint8Array, alignment: number): void {
    const start = offset - (offset % alignment);
    const length = Math.ceil((offset + bytes.length - start) / alignment) * alignment;
    const at = Number(mmap(null, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start));
    if (at === -1) throw systemError('mmap');
    memcpy(at + offset - start, bytes, bytes.length);
    munmap(at, length);
  },

  /** Takes the exclusive flock of an open file without waiting; false if another open file holds it. */
  tryLockExclusive(fd: number): boolean {
    if (flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
    if (koffi.errno() === constants.errno.EWOULDBLOCK) return false;
    throw systemError('flock');
  },

  /**
   * Replaces `target`, whole pages of memory that only this caller uses (WebAssembly's), by a read-only shared mapping
   * of the file from `offset` on. Freeing the memory unmaps it. Reading behind the file's end is SIGBUS.
   */
  mapReadOnly(fd: number, offset: number, target: Uint8Array): void {
    const at = Number(mmap(target, target.length, PROT_READ, MAP_SHARED_FIXED, fd, offset));
    if (at === -1) throw systemError('mmap');
  },

  /** Bit 0 of a byte for each page of `mapped`: whether it is in memory, so that reading it allocates nothing. */
  residentPages(mapped: Uint8Array, resident: Uint8Array): void {
    if (mincore(mapped, mapped.length, resident) !== 0) throw systemError('mincore');
  },

  /** Builds the page tables of mapped memory at once; a hole in it is allocated. Does nothing before Linux 5.14. */
  populate(mapped: Uint8Array): void {
    madvise(mapped, mapped.length, MADV_POPULATE_READ);
  },

  /** A descriptor of inotify, not blocking, that says when the file is opened, written by a call or cut. */
  watchFile(path: string): number {
    const fd = Number(inotifyInit(IN_NONBLOCK | IN_CLOEXEC));
    if (fd < 0) throw systemError('inotify_init1');
    if (Number(inotifyAddWatch(fd, path, IN_MODIFY | IN_OPEN)) >= 0) return fd;
    const error = systemError('inotify_add_watch');
    closeSync(fd);
    throw error;
  },

  /**
   * A read lease on a file that is open for reading only (F_SETLEASE); EAGAIN if anybody has it open for writing. Whoever
   * opens it for writing from then on waits until the descriptor is closed. The signal that tells of it would end this
   * process by default, so it is one that is ignored.
   */
  takeReadLease(fd: number): void {
    if (fcntl(fd, F_SETSIG, 'int', SIGURG) !== 0) throw systemError('fcntl(F_SETSIG)');
    if (fcntl(fd, F_SETLEASE, 'int', F_RDLCK) !== 0) throw systemError('fcntl(F_SETLEASE)');
  },

  /** Whether the lease is held and nobody waits for its end (F_GETLEASE). */
  hasReadLease: (fd: number): boolean => fcntl(fd, F_GETLEASE) === F_RDLCK,

  /** Ends a TCP connection whose sent bytes stay unacknowledged for so long; the kernel alone tries for a quarter of an hour. */
  setUserTimeout(fd: number, milliseconds: number): void {
    const value = Uint32Array.of(milliseconds);
    if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value, value.byteLength) !== 0)
      throw systemError('setsockopt(TCP_USER_TIMEOUT)');
  },

  /**
   * Pid of the process that listened at, or connected, the other end of a UNIX socket (SO_PEERCRED, unix(7)); 0 where
   * it has none in this pid namespace.
   */
  peerPid(socketFd: number): number {
    const credentials = Buffer.alloc(UCRED_BYTES);
    if (getsockopt(socketFd, SOL_SOCKET, SO_PEERCRED, credentials, [UCRED_BYTES]) !== 0)
      throw systemError('getsockopt(SO_PEERCRED)');
    return credentials.readInt32LE(0);
  },

  /** A second descriptor of the same open file or socket. It shares O_NONBLOCK and the file offset. */
  duplicate(fd: number): number {
    const result = Number(dup(fd));
    if (result < 0) throw systemError('dup');
    return result;
  },

  /**
   * Has the kernel kill this process when its parent dies. The parent may have died just before: then this
   * process ends at once.
   */
  dieWithParent(parentPid: number): void {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) !== 0) throw systemError('prctl(PR_SET_PDEATHSIG)');
    if (process.ppid !== parentPid) process.kill(process.pid, 'SIGKILL');
  },
} as const;
