/**
 * What the QEMU bench takes from Debian: programs are installed where this user may, other packages are unpacked into
 * the cache without being installed. What cannot be had is said with the command that an administrator would type.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cached, newestCached } from './cache.ts';

/** Each program with the package that brings it. */
export type Need = readonly [program: string, debianPackage: string];

/** An installation by somebody else at the same time is waited for, seconds. */
const LOCK_WAIT = 'DPkg::Lock::Timeout=300';

/** Makes sure that the programs are there. Throws, with the command to type, if they are not and cannot be installed. */
export function requirePrograms(needs: readonly Need[]): void {
  const missing = needs.filter(([program]) => !isProgram(program)).map(([, name]) => name);
  if (missing.length === 0) return;
  const install = ['install', '--yes', '--no-install-recommends', ...missing];
  const advice = `install what the QEMU bench needs: apt-get ${install.join(' ')}`;
  if (!isProgram('apt-get') || process.getuid?.() !== 0) throw new Error(advice);
  process.stdout.write(`installing ${missing.join(', ')}\n`);
  if (tryApt('apt-get', install) === undefined) {
    apt('apt-get', ['update'], advice);
    apt('apt-get', install, advice);
  }
}

/**
 * The directory with a package's files. An unpacked one of any version is taken as it is; else the newest that apt knows
 * is downloaded. `find` gives the package's name, which apt may have to be asked for; `name` matches it.
 */
export function unpackedPackage(name: RegExp, find: () => string): string {
  const known = newestCached(new RegExp(`^${name.source}_`));
  if (known !== undefined) return known;
  const advice = `a Debian package that matches ${name.source} is needed, and apt-get download does not bring it`;
  if (!isProgram('apt-get') || !isProgram('dpkg-deb')) throw new Error(advice);
  if (tryApt('apt-cache', ['show', '--no-all-versions', 'base-files']) === undefined)
    apt('apt-get', ['update'], advice);
  return unpack(find(), advice);
}

/** The first package that a meta-package depends on whose name matches. */
export function dependencyOf(metaPackage: string, name: RegExp): string {
  const shown =
    tryApt('apt-cache', ['depends', metaPackage]) ??
    (apt('apt-get', ['update'], `apt-get knows no ${metaPackage}`),
    apt('apt-cache', ['depends', metaPackage], `apt-get knows no ${metaPackage}`));
  const found = [...shown.matchAll(/Depends: (\S+)/g)].map((match) => match[1] ?? '');
  const match = found.find((candidate) => name.test(candidate));
  if (match === undefined) throw new Error(`${metaPackage} depends on nothing that matches ${name.source}`);
  return match;
}

function unpack(name: string, advice: string): string {
  const versionOf = (): string | undefined =>
    /^Version: (\S+)$/m.exec(tryApt('apt-cache', ['show', '--no-all-versions', name]) ?? '')?.[1];
  const version = versionOf() ?? (apt('apt-get', ['update'], advice), versionOf());
  if (version === undefined) throw new Error(advice);
  return cached(`${name}_${version.replaceAll(/[^\w.+~-]/g, '-')}`, (directory) => {
    process.stdout.write(`downloading ${name} ${version}\n`);
    // Lists that are too old name versions that are gone.
    if (tryApt('apt-get', ['download', name], directory) === undefined) {
      apt('apt-get', ['update'], advice);
      apt('apt-get', ['download', name], advice, directory);
    }
    const file = readdirSync(directory).find((entry) => entry.endsWith('.deb'));
    if (file === undefined) throw new Error(advice);
    apt('dpkg-deb', ['--extract', join(directory, file), directory], advice);
  });
}

function isProgram(name: string): boolean {
  return spawnSync('/bin/sh', ['-c', 'command -v "$1"', 'sh', name]).status === 0;
}

/** Standard output, or undefined if the command failed. */
function tryApt(command: string, args: readonly string[], directory?: string): string | undefined {
  const { status, stdout } = run(command, args, directory);
  return status === 0 ? stdout : undefined;
}

function apt(command: string, args: readonly string[], advice: string, directory?: string): string {
  const { status, stdout, stderr } = run(command, args, directory);
  if (status !== 0)
    throw new Error(`${advice}\n${command} ${args.join(' ')} failed: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}

function run(
  command: string,
  args: readonly string[],
  directory: string | undefined,
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const options = command === 'apt-get' ? ['-o', LOCK_WAIT] : [];
  return spawnSync(command, [...options, ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    ...(directory === undefined ? {} : { cwd: directory }),
  });
}
