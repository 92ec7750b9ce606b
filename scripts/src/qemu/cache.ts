/**
 * The folder of what the QEMU bench has fetched, unpacked or compiled: an entry is named by what it was made from, is
 * complete or absent, and is made once. With a full folder nothing needs a network.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { programPath } from '../harness/child.ts';
import { errorCode } from '../harness/error-code.ts';

const FOLDER = programPath('.cache/qemu');

/** The entry of this name; `make` fills a directory that becomes it when it returns. */
export function cached(name: string, make: (directory: string) => void): string {
  const path = join(FOLDER, name);
  if (existsSync(path)) return path;
  mkdirSync(FOLDER, { recursive: true });
  const unfinished = mkdtempSync(join(FOLDER, `.${name}-`));
  try {
    make(unfinished);
    chmodSync(unfinished, 0o755);
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { recursive: true });
    // Another process may have made it meanwhile.
    if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
  }
  return path;
}

/** The entry made last of those whose name matches. */
export function newestCached(name: RegExp): string | undefined {
  if (!existsSync(FOLDER)) return undefined;
  const paths = readdirSync(FOLDER)
    .filter((entry) => name.test(entry))
    .map((entry) => join(FOLDER, entry));
  return paths.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
}
