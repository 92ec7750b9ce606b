/**
 * What a test makes of its host, as root: a small or another file system below a rig's directory, another user, and
 * less of something. Where that is not possible, `whyNot…` says why in words, for a skipped test.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { commandLineOf, errorCode, processesNaming, programPath } from '@pageferry/scripts/harness';

/** The user and group nobody of Debian; files of nobody else. */
export const OTHER_USER = 65534;
const HUGE_PAGE_COUNT = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
const HUGE_PAGE_BYTES = 2 ** 21;
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

/** False where no huge pages of 2 MiB can be set aside and mounted. */
export function whyNotHugePages(): string | false {
  const why = whyNotMount();
  if (why !== false) return why;
  return existsSync(HUGE_PAGE_COUNT) ? false : 'this kernel has no huge pages of 2 MiB';
}

/** Sets so much memory aside as huge pages, and mounts a file system of them; unmounting gives them back. */
export function mountHugePages(path: string, sizeBytes: number): Mount {
  const before = readFileSync(HUGE_PAGE_COUNT, 'latin1');
  const count = Number(before) + Math.ceil(sizeBytes / HUGE_PAGE_BYTES);
  writeFileSync(HUGE_PAGE_COUNT, String(count));
  if (Number(readFileSync(HUGE_PAGE_COUNT, 'latin1')) < count) {
    writeFileSync(HUGE_PAGE_COUNT, before);
    throw new Error(`the kernel has no ${sizeBytes} bytes of huge pages`);
  }
  mkdirSync(path);
  execFileSync('mount', ['-t', 'hugetlbfs', '-o', 'pagesize=2M', 'pageferry-test', path]);
  const mount = mountAt(path);
  return {
    ...mount,
    unmount: () => {
      mount.unmount();
      writeFileSync(HUGE_PAGE_COUNT, before);
    },
  };
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

/** Launcher of a program that has nothing of root's. */
export function asOtherUser(): readonly string[] {
  return AS_OTHER_USER;
}

/** Gives a file or directory to the other user. */
export function giveToOtherUser(path: string): void {
  chownSync(path, OTHER_USER, OTHER_USER);
}

/** Leaves a running process this many descriptors that it can still open, and its children as little. */
export function leaveDescriptors(pid: number, count: number): void {
  const taken = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let limit = 0;
  for (let free = 0; taken.has(limit) || free < count; limit += 1) if (!taken.has(limit)) free += 1;
  setLimit(pid, 'nofile', limit);
}

/** Leaves a running process this much more memory to write to; what is only reserved does not count. */
export function leaveMemory(pid: number, bytes: number): void {
  const match = /^VmData:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  if (match === null) throw new Error(`process ${pid} has no memory`);
  setLimit(pid, 'data', Number(match[1]) * 1024 + bytes);
}

/** Sets a soft limit of a running process, as prlimit names it; it can be set again to more. `as`: its user. */
export function setLimit(
  pid: number,
  name: 'nofile' | 'nproc' | 'data',
  value: number,
  as: readonly string[] = [],
): void {
  execFileSync('env', [...as, 'prlimit', `--pid=${pid}`, `--${name}=${value}:`]);
}

/** The engine that a daemon keeps for its next migration, or has at work. */
export function enginePidOf(daemonPid: number): number | undefined {
  return processesNaming('/engine/main.js').find((pid) => commandLineOf(pid).at(-1) === String(daemonPid));
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
