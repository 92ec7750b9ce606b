// Whether a file's memory is huge pages (hugetlbfs). Such a file is read like any other, but write() answers EINVAL and
// before Linux 5.19 a hole punched into a part of a huge page leaves the bytes there: it is written through a mapping.

import { statfsSync } from 'node:fs';
import { ioError } from './errors.ts';
import { HUGETLBFS_MAGIC } from './file-system.ts';
import type { ImageHandle } from './image-file.ts';

/** Bytes of one of the file's huge pages; undefined for a file of ordinary pages. Throws MemoryError `io`. */
export function hugePageBytes({ fd, path }: ImageHandle): number | undefined {
  try {
    const { type, bsize } = statfsSync(`/proc/self/fd/${fd}`);
    return type === HUGETLBFS_MAGIC ? bsize : undefined;
  } catch (error) {
    throw ioError('statfs', path, error);
  }
}
