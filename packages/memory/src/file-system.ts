// Which file system an image is on: by `f_type` of statfs(2), whose numbers are Linux's magic.h.

import { statfsSync } from 'node:fs';
import type { ImageHandle } from './image-file.ts';

export const TMPFS_MAGIC = 0x01021994;
export const HUGETLBFS_MAGIC = 0x958458f6;
/** ext2, ext3 and ext4. */
export const EXT_MAGIC = 0xef53;
export const XFS_MAGIC = 0x58465342;
export const BTRFS_MAGIC = 0x9123683e;

/** Of the file that is open, whatever its name leads to. */
export function fileSystemTypeOf({ fd }: ImageHandle): number {
  return statfsSync(`/proc/self/fd/${fd}`).type;
}
