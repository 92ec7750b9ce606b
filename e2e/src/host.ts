/**
 * What a test makes of its host, as root: a small or another file system below a rig's directory, another user, and
 * less of something. Where that is not possible, `whyNot…` says why in words, for a skipped test.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { errorCode, programPath } from '@pageferry/scripts/harness';

/** The user and group nobody of Debian; files of nobody else. */
export const OTHER_USER = 65534;
const AS_OTHER_USER = [
  'setpriv',
  `--reuid=${OTHER_USER}`,
  `--regid=${OTHER_USER}`,
  '--clear-groups',
  '--inh-caps=-all',
] as const;

/** A file system that was made for one test. */
export interface Mount {
  readonly path: string;
  makeReadOnly(): void;
  unmount(): void;
}

/** False where nothing can be mounted: not root, or a container that may not. */
export function whyNotMount(): string | false {
  if (process.getuid?.() !== 0) return 'only root may mount';
  const tried = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']);
  return tried.status === 0 ? false : 'nothing may be mounted here';
}

/** Makes the directory and mounts a file system of memory there; `options` as mount takes them, such as size=8m. */
export function mountInMemory(path: string, type: 'tmpfs' | 'ramfs', options = 'mode=755'): Mount {
  mkdirSync(path);
  execFileSync('mount', ['-t', type, '-o', options, 'pageferry-test', path]);
  return mountAt(path);
}

/** An ext4 file system of this size in a file beside the directory, mounted there. */
export function mountOnDisk(path: string, sizeBytes: number): Mount {
  const file = `${path}.img`;
  writeFileSync(file, '');
  truncateSync(file, sizeBytes);
  execFileSync('mkfs.ext4', ['-q', file], { stdio: 'pipe' });
  mkdirSync(path);
  execFileSync('mount', ['-o', 'loop', file, path]);
  return mountAt(path);
}

/** A file that takes all room but `freeBytes`; `empty` gives it back. */
export class Ballast {
  readonly #path: string;

  constructor(directory: string, freeBytes: number) {
    this.#path = join(directory, 'ballast');
    const { bavail, bsize } = statfsSync(directory);
    fill(this.#path, Math.max(0, bavail * bsize - freeBytes));
  }

  empty(): void {
    rmSync(this.#path);
  }
}

/** False where programs of this repository cannot be run as the other user. */
export function whyNotOtherUser(): string | false {
  if (process.getuid?.() !== 0) return 'only root may become another user';
  const program = programPath('packages/source/dist/src/main.js');
  const [command, ...args] = [...AS_OTHER_USER, process.execPath, program, '--version'];
  return spawnSync(command, args).status === 0 ? false : 'another user may not run these programs';
}

/** Launcher of a program that has nothing of root's. `limits` as prlimit takes them, such as --nproc=20. */
export function asOtherUser(...limits: readonly string[]): readonly string[] {
  return [...AS_OTHER_USER, ...(limits.length === 0 ? [] : ['prlimit', ...limits])];
}

/** Gives a file or directory to the other user. */
export function giveToOtherUser(path: string): void {
  chownSync(path, OTHER_USER, OTHER_USER);
}

/** Launcher of a program with less of something, which its children inherit. */
export function withLimits(...limits: readonly string[]): readonly string[] {
  return ['prlimit', ...limits];
}

function fill(path: string, lengthBytes: number): void {
  const file = openSync(path, 'w');
  try {
    const zeros = Buffer.alloc(2 ** 20);
    for (let left = lengthBytes; left > 0;) left -= writeSync(file, zeros, 0, Math.min(left, zeros.length));
  } catch (error) {
    if (errorCode(error) !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}

function mountAt(path: string): Mount {
  return {
    path,
    makeReadOnly: () => void execFileSync('mount', ['-o', 'remount,ro', path]),
    unmount: () => void execFileSync('umount', ['--lazy', path]),
  };
}
