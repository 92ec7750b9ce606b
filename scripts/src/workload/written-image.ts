// How a workload writes: with pwrite, as somebody who only has a file, or through a shared mapping, as a VMM's guest does.
// On a shared file both change the same page cache; only the second is seen by the kernel's soft-dirty bits.
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import koffi from 'koffi';

const PROT_READ_WRITE = 3;
const MAP_SHARED_POPULATE = 0x1 | 0x8000;
const MADV_DONTFORK = 10;

export interface WrittenImage {
  /** Writes all of it, from a byte of the image on. */
  write(position: number, bytes: Uint8Array): void;
}

/** With pwrite on a descriptor. */
export function writeWithCalls(file: number): WrittenImage {
  return {
    write(position, bytes) {
      const written = writeSync(file, bytes, 0, bytes.length, position);
      if (written !== bytes.length) throw new Error(`byte ${position} and on was not written whole`);
    },
  };
}

/**
 * Through a mapping of the whole image, as of a guest that has touched all of its memory: every page is mapped. It stays to
 * the process's end, no descriptor does, and a fork does not have it.
 */
export function writeThroughMapping(path: string): WrittenImage {
  const libc = koffi.load(null);
  const mmap = libc.func(
    'void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)',
  );
  const madvise = libc.func('int madvise(void *address, size_t length, int advice)');
  const file = openSync(path, 'r+');
  try {
    const sizeBytes = fstatSync(file).size;
    const address: unknown = mmap(null, sizeBytes, PROT_READ_WRITE, MAP_SHARED_POPULATE, file, 0);
    // MAP_FAILED is -1, which reading would not survive.
    if (BigInt.asIntN(64, koffi.address(address)) === -1n) throw new Error(`${path} cannot be mapped`);
    madvise(address, sizeBytes, MADV_DONTFORK);
    const memory = new Uint8Array(koffi.view(address, sizeBytes));
    return { write: (position, bytes) => memory.set(bytes, position) };
  } finally {
    closeSync(file);
  }
}
