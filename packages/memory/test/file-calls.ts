// The real file calls for this package's tests. The binding that ships is transport's; this one is separate so that
// the tests need no package that depends on this one, and borrows only transport's copy of koffi.

import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type { FileCalls, LeaseCalls, MappingCalls, WatchCalls } from '../src/file-calls.ts';

interface Library {
  func(prototype: string): (...args: (number | string | Uint8Array)[]) => unknown;
}

interface Koffi {
  load(name: string): Library;
  errno(): number;
}

const transport = new URL('../../../transport/package.json', import.meta.url);
const koffi: Koffi = createRequire(transport)('koffi');
const libc = koffi.load('libc.so.6');
const lseek = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');
const fallocate = libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
const flock = libc.func('int flock(int fd, int operation)');

const mmap = libc.func(
  'uintptr_t mmap(uintptr_t at, size_t length, int protection, int flags, int fd, int64_t offset)',
);
const memset = libc.func('void *memset(uintptr_t at, int value, size_t length)');
const madviseAt = libc.func('int madvise(uintptr_t at, size_t length, int advice)');
const munmap = libc.func('int munmap(uintptr_t at, size_t length)');
const memcpy = libc.func('uintptr_t memcpy(uintptr_t target, const void *source, size_t length)');

const mmapOver = libc.func(
  'intptr_t mmap(void *at, size_t length, int protection, int flags, int fd, int64_t offset)',
);
const mincore = libc.func('int mincore(void *at, size_t length, void *resident)');
const madvise = libc.func('int madvise(void *at, size_t length, int advice)');

const inotifyInit = libc.func('int inotify_init1(int flags)');
const inotifyAddWatch = libc.func('int inotify_add_watch(int fd, const char *path, uint32_t mask)');

const fcntl = libc.func('int fcntl(int fd, int command, ...)');

const PROT_READ = 1;
const MAP_SHARED_FIXED = 0x01 | 0x10;
const MADV_POPULATE_READ = 22;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const PUNCH_HOLE_KEEP_SIZE = 2 | 1;
const LOCK_EX_NB = 2 | 4;
const IN_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const IN_MODIFY_OPEN = 0x2 | 0x20;
const MADV_REMOVE = 9;
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_GETLEASE = 1025;
const F_RDLCK = 0;

/** Real system calls. */
export const fileCalls: FileCalls = {
  seekData: (fd, offset) => seek(fd, offset, SEEK_DATA),
  seekHole: (fd, offset) => seek(fd, offset, SEEK_HOLE),
  punchHole(fd, offset, length) {
    if (fallocate(fd, PUNCH_HOLE_KEEP_SIZE, offset, length) !== 0) throw systemError('fallocate');
  },
  writeMapped(fd, offset, bytes, alignment) {
    const start = offset - (offset % alignment);
    const length = Math.ceil((offset + bytes.length - start) / alignment) * alignment;
    const at = Number(mmap(0, length, 3, 1, fd, start));
    if (at === -1) throw systemError('mmap');
    memcpy(at + offset - start, bytes, bytes.length);
    munmap(at, length);
  },
  tryLockExclusive(fd) {
    if (flock(fd, LOCK_EX_NB) === 0) return true;
    if (koffi.errno() === constants.errno.EWOULDBLOCK) return false;
    throw systemError('flock');
  },
};

/** Real mappings. */
export const mappingCalls: MappingCalls = {
  mapReadOnly(fd, offset, target) {
    const at = Number(mmapOver(target, target.length, PROT_READ, MAP_SHARED_FIXED, fd, offset));
    if (at === -1) throw systemError('mmap');
  },
  residentPages(mapped, resident) {
    if (mincore(mapped, mapped.length, resident) !== 0) throw systemError('mincore');
  },
  populate: (mapped) => void madvise(mapped, mapped.length, MADV_POPULATE_READ),
};

/** Real watches. */
export const watchCalls: WatchCalls = {
  watchFile(path) {
    const fd = Number(inotifyInit(IN_NONBLOCK_CLOEXEC));
    if (fd === -1 || Number(inotifyAddWatch(fd, path, IN_MODIFY_OPEN)) === -1) throw systemError('inotify');
    return fd;
  },
};

/** Real leases. */
export const leaseCalls: LeaseCalls = {
  takeReadLease(fd) {
    fcntl(fd, F_SETSIG, 'int', constants.signals.SIGURG);
    if (fcntl(fd, F_SETLEASE, 'int', F_RDLCK) !== 0) throw systemError('fcntl');
  },
  hasReadLease: (fd) => fcntl(fd, F_GETLEASE) === F_RDLCK,
};

/** Writes a byte through a shared mapping of a file's first page; then, if asked, takes the page out of the file. */
export function writeMapped(fd: number, { isRemoved }: { readonly isRemoved: boolean }): void {
  const at = Number(mmap(0, 4096, 3, 1, fd, 0));
  if (at === -1) throw systemError('mmap');
  memset(at, 7, 1);
  if (isRemoved && Number(madviseAt(at, 4096, MADV_REMOVE)) !== 0) throw systemError('madvise');
  munmap(at, 4096);
}

/** Maps a file's first page into this process, as `rw-s` or `r--p` in /proc/PID/maps; returns the undoing. */
export function mapFirstPage(fd: number, { isShared }: { readonly isShared: boolean }): () => void {
  const at = Number(isShared ? mmap(0, 4096, 3, 1, fd, 0) : mmap(0, 4096, 1, 2, fd, 0));
  if (at === -1) throw systemError('mmap');
  return () => void munmap(at, 4096);
}

/** The real calls, counted. */
export function countingFileCalls(): FileCalls & {
  readonly seekCount: () => number;
  readonly punchCount: () => number;
} {
  let seeks = 0;
  let punches = 0;
  return {
    seekData: (fd, offset) => ((seeks += 1), fileCalls.seekData(fd, offset)),
    seekHole: (fd, offset) => ((seeks += 1), fileCalls.seekHole(fd, offset)),
    punchHole: (fd, offset, length) => ((punches += 1), fileCalls.punchHole(fd, offset, length)),
    writeMapped: (...args) => fileCalls.writeMapped(...args),
    tryLockExclusive: (fd) => fileCalls.tryLockExclusive(fd),
    seekCount: () => seeks,
    punchCount: () => punches,
  };
}

function seek(fd: number, offset: number, whence: number): number {
  const result = Number(lseek(fd, offset, whence));
  if (result !== -1 || koffi.errno() === constants.errno.ENXIO) return result;
  throw systemError('lseek');
}

function systemError(call: string): Error {
  const code = getSystemErrorName(-koffi.errno());
  return Object.assign(new Error(`${call}: ${code}`), { code });
}
