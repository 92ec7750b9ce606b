// Whether a process uses an image at all: maps it, or has it open. What the source asks of the process that is said to be
// its guest.
// Invariant: `false` is only said where all of the process was seen. A process that opens the image for each write is
// not told apart from one that never does.

import { readdir, readlink, stat } from 'node:fs/promises';
import { errnoOf } from './errors.ts';
import { identityOf, isSameFile } from './file-identity.ts';
import { isGone, readMappings, type MappedFile } from './proc-maps.ts';

/** Undefined: /proc does not show it, or there is no such process any more. */
export async function usesFile(
  pid: number,
  file: MappedFile,
  { proc = '/proc' } = {},
): Promise<boolean | undefined> {
  const mappings = readMappings(pid, file, { proc });
  if (typeof mappings !== 'string' && mappings.length > 0) return true;
  const isOpen = await hasOpen(`${proc}/${pid}/fd`, file);
  return isOpen || typeof mappings !== 'string' ? isOpen : undefined;
}

async function hasOpen(folder: string, file: MappedFile): Promise<boolean | undefined> {
  try {
    for (const name of await readdir(folder)) {
      if (await isLinkTo(`${folder}/${name}`, file)) return true;
    }
    return false;
  } catch {
    return undefined;
  }
}

/** Compared as files: the process may see the image by another name. A descriptor that was closed meanwhile is none. */
async function isLinkTo(path: string, file: MappedFile): Promise<boolean> {
  try {
    const target = await readlink(path);
    // Sockets, pipes and the like; the name of a file begins with a slash.
    if (!target.startsWith('/')) return false;
    return isSameFile(identityOf(await stat(path, { bigint: true })), file);
  } catch (error) {
    if (isGone(error) || errnoOf(error) === 'EINVAL') return false;
    throw error;
  }
}
