/**
 * Debian's kernel for virtual machines, unpacked and not installed, and its modules. Which modules a module needs is read
 * from the module itself, since modules.dep is made at installation only.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { dependencyOf, unpackedPackage } from './debian.ts';

const META_PACKAGE = 'linux-image-cloud-amd64';
const KERNEL_PACKAGE = /linux-image-[^_]*-cloud-amd64/;

export interface KernelModule {
  /** With underscores, as the kernel names it. */
  readonly name: string;
  readonly content: Buffer;
}

export class Kernel {
  /** Of the bootable image. */
  readonly path: string;
  readonly #modulePaths: ReadonlyMap<string, string>;
  readonly #builtIn: ReadonlySet<string>;

  private constructor(path: string, modulePaths: ReadonlyMap<string, string>, builtIn: ReadonlySet<string>) {
    this.path = path;
    this.#modulePaths = modulePaths;
    this.#builtIn = builtIn;
  }

  /** Downloads it if the cache has none. */
  static find(): Kernel {
    const root = unpackedPackage(KERNEL_PACKAGE, () => dependencyOf(META_PACKAGE, KERNEL_PACKAGE));
    const image = readdirSync(join(root, 'boot')).find((name) => name.startsWith('vmlinuz-'));
    if (image === undefined) throw new Error(`${root} has no kernel`);
    const modules = join(root, 'lib/modules', image.replace('vmlinuz-', ''));
    const files = readdirSync(join(modules, 'kernel'), { recursive: true, encoding: 'utf8' });
    const paths = files
      .filter((file) => /\.ko(\.xz)?$/.test(file))
      .map((file) => [moduleName(file), join(modules, 'kernel', file)] as const);
    const builtIn = readFileSync(join(modules, 'modules.builtin'), 'utf8').trim().split('\n').map(moduleName);
    return new Kernel(join(root, 'boot', image), new Map(paths), new Set(builtIn));
  }

  /** These modules and all that they need, each after what it needs. Without those that are built in. */
  modules(names: readonly string[]): readonly KernelModule[] {
    const found = new Map<string, KernelModule>();
    for (const name of names) this.#collect(moduleName(name), found);
    return [...found.values()];
  }

  #collect(name: string, found: Map<string, KernelModule>): void {
    if (found.has(name) || this.#builtIn.has(name)) return;
    const path = this.#modulePaths.get(name);
    if (path === undefined) throw new Error(`the kernel ${this.path} has no module ${name}`);
    const content = readModule(path);
    for (const dependency of dependenciesOf(content)) this.#collect(dependency, found);
    found.set(name, { name, content });
  }
}

/** Modules are said with underscores by themselves and with either by people and file names. */
function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_');
}

function readModule(path: string): Buffer {
  if (!path.endsWith('.xz')) return readFileSync(path);
  const { status, stdout } = spawnSync('xz', ['--decompress', '--stdout', path], { maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${path} cannot be unpacked: xz is needed`);
  return stdout;
}

/** The section .modinfo holds texts `key=value`, each ended by a zero byte. */
export function dependenciesOf(module: Buffer): readonly string[] {
  const key = Buffer.from('\0depends=');
  const at = module.indexOf(key);
  if (at === -1) return [];
  const start = at + key.length;
  const text = module.toString('latin1', start, module.indexOf(0, start));
  return text === '' ? [] : text.split(',').map(moduleName);
}
