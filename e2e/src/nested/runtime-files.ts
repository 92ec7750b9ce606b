/**
 * What a guest needs to run this very build: Node with its libraries, the workspace's compiled packages, and what they
 * depend on at run time, laid out as on the host. Types, sources, maps and tests are left out.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { z } from 'zod';
import { programPath } from '@pageferry/scripts/harness';
import type { GuestFile } from '@pageferry/scripts/qemu';

/** Where the repository is in the guest. */
export const GUEST_ROOT = '/pageferry';
export const GUEST_NODE = '/usr/bin/node';

const LEFT_OUT = /\.(?:[cm]?ts|map|md|tsbuildinfo|cc|c|hh|h|S|asm|inc|o|a)$/;
const LEFT_OUT_FOLDERS = new Set(['test', 'tests', 'docs', 'doc', 'benchmarks', 'examples', '.tap']);
const manifest = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

/** A program and the shared libraries that it names, each at the host's path. */
export function programFiles(path: string, guestPath = path): readonly GuestFile[] {
  const { status, stdout } = spawnSync('ldd', [path], { encoding: 'utf8' });
  const libraries =
    status === 0 ? [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, library]) => library ?? '') : [];
  return [
    { path: guestPath, from: realpathSync(path) },
    ...libraries.map((library) => ({ path: library, from: realpathSync(library) })),
  ];
}

/** Node, and everything of the workspace that runs. */
export function runtimeFiles(): readonly GuestFile[] {
  const root = programPath('');
  const packages = [
    'scripts',
    'e2e',
    ...readdirSync(join(root, 'packages')).map((name) => `packages/${name}`),
  ];
  const files = new Map<string, GuestFile>();
  for (const folder of packages) {
    add(files, root, join(root, folder, 'package.json'));
    addTree(files, root, join(root, folder, 'dist'), (name) => name !== 'test');
    addDependencies(files, root, join(root, folder));
  }
  return [...programFiles(process.execPath, GUEST_NODE), ...files.values()];
}

/** Links stay links, so that what they lead to is there once. */
function addDependencies(files: Map<string, GuestFile>, root: string, folder: string): void {
  const { dependencies, optionalDependencies } = manifest.parse(
    JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')),
  );
  for (const name of [...Object.keys(dependencies), ...Object.keys(optionalDependencies)]) {
    const link = findPackage(root, folder, name);
    if (link === undefined) continue;
    const target = realpathSync(link);
    if (files.has(guestPath(root, link))) continue;
    if (lstatSync(link).isSymbolicLink()) {
      files.set(guestPath(root, link), { path: guestPath(root, link), linkTo: readlinkSync(link) });
    }
    if (!target.includes(`${sep}.pnpm${sep}`)) continue;
    addTree(files, root, target, (file) => !LEFT_OUT_FOLDERS.has(file));
    addDependencies(files, root, target);
  }
}

/** As Node looks for it. Optional ones of other systems are not there. */
function findPackage(root: string, folder: string, name: string): string | undefined {
  for (let at = folder; at.startsWith(root.replace(/\/$/, '')); at = dirname(at)) {
    const path = join(at, 'node_modules', name);
    if (existsSync(path)) return path;
  }
  // A package's own dependencies are beside it.
  const beside = join(folder.slice(0, folder.lastIndexOf('node_modules')), 'node_modules', name);
  return existsSync(beside) ? beside : undefined;
}

function addTree(
  files: Map<string, GuestFile>,
  root: string,
  folder: string,
  isWanted: (name: string) => boolean,
): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== 'node_modules' && isWanted(entry.name)) addTree(files, root, path, isWanted);
    } else if (entry.isFile() && !LEFT_OUT.test(entry.name)) {
      add(files, root, path);
    }
  }
}

function add(files: Map<string, GuestFile>, root: string, path: string): void {
  files.set(guestPath(root, path), { path: guestPath(root, path), from: path });
}

function guestPath(root: string, path: string): string {
  return join(GUEST_ROOT, relative(root, path));
}
