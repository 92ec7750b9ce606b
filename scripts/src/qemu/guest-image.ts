/**
 * Builds what QEMU boots with -kernel and -initrd: Debian's kernel and an initramfs of busybox, kernel modules and the
 * caller's files. Use:
 *
 *   buildGuest({ name: 'mine', modules: ['virtio_blk'], files: [{ path: '/bin/tool', from: './tool' }],
 *                init: 'exec /bin/tool' })
 *
 * `init` is the end of process 1's shell script: /proc, /sys, /dev, /dev/shm and /tmp are mounted, the modules are
 * loaded, busybox's commands are in /bin, and the kernel prints nothing more on the console but emergencies. The guest
 * ends with `poweroff -f`; if the script ends, the kernel panics.
 */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { encodeArchive, type ArchiveEntry } from './archive.ts';
import { cached } from './cache.ts';
import { unpackedPackage } from './debian.ts';
import { Kernel, type KernelModule } from './kernel.ts';

export type GuestFile =
  /** A file, with its mode, or a directory with all that is in it; links in it stay links. A link itself is followed. */
  | { readonly path: string; readonly from: string }
  | { readonly path: string; readonly content: string | Uint8Array; readonly mode?: number }
  | { readonly path: string; readonly linkTo: string };

export interface GuestParts {
  /** Of the file in the cache. */
  readonly name: string;
  readonly files: readonly GuestFile[];
  /** Lines of a shell script. */
  readonly init: string;
  /** What they need comes by itself. */
  readonly modules: readonly string[];
}

/** Paths for -kernel and -initrd. */
export interface BootFiles {
  readonly kernel: string;
  readonly initrd: string;
}

const EXECUTABLE = 0o755;
const GZIP_LEVEL = 1;
const MOUNT_POINTS = ['/dev', '/proc', '/sys', '/tmp', '/bin', '/modules'];

export function buildGuest(parts: GuestParts): BootFiles {
  const kernel = Kernel.find();
  const busybox = unpackedPackage(/busybox-static/, () => 'busybox-static');
  const modules = kernel.modules(parts.modules);
  const files: readonly GuestFile[] = [
    { path: '/bin/busybox', from: join(busybox, 'bin/busybox') },
    { path: '/init', content: initScript(modules, parts.init), mode: EXECUTABLE },
    ...modules.map(({ name, content }) => ({ path: modulePath(name), content })),
    ...parts.files,
  ];
  const archive = encodeArchive(withDirectories(files.flatMap(entriesOf)));
  const digest = createHash('sha256').update(archive).digest('hex').slice(0, 16);
  const entry = cached(`initrd-${parts.name}-${digest}`, (directory) =>
    writeFileSync(join(directory, 'initrd.gz'), gzipSync(archive, { level: GZIP_LEVEL })),
  );
  return { kernel: kernel.path, initrd: join(entry, 'initrd.gz') };
}

function initScript(modules: readonly KernelModule[], init: string): string {
  return [
    '#!/bin/busybox sh',
    '/bin/busybox --install -s /bin',
    'export PATH=/bin:/sbin:/usr/bin:/usr/sbin',
    'mount -t proc proc /proc',
    'mount -t sysfs sysfs /sys',
    'mount -t devtmpfs devtmpfs /dev',
    'mkdir -p /dev/shm',
    'mount -t tmpfs tmpfs /dev/shm',
    'mount -t tmpfs tmpfs /tmp',
    ...modules.map(({ name }) => `insmod ${modulePath(name)} || echo "ERROR module ${name}"`),
    'dmesg -n 1',
    init,
    '',
  ].join('\n');
}

function modulePath(name: string): string {
  return `/modules/${name}.ko`;
}

function entriesOf(file: GuestFile): readonly ArchiveEntry[] {
  if ('linkTo' in file) return [{ type: 'link', path: file.path, to: file.linkTo }];
  if ('from' in file) return copiedEntries(file.path, file.from, true);
  const content = typeof file.content === 'string' ? Buffer.from(file.content) : file.content;
  return [{ type: 'file', path: file.path, mode: file.mode ?? 0o644, content }];
}

function copiedEntries(path: string, from: string, isTop: boolean): readonly ArchiveEntry[] {
  const status = lstatSync(from);
  if (status.isSymbolicLink() && !isTop) return [{ type: 'link', path, to: readlinkSync(from) }];
  if (status.isDirectory()) {
    const below = readdirSync(from).sort();
    return [
      { type: 'directory', path },
      ...below.flatMap((name) => copiedEntries(join(path, name), join(from, name), false)),
    ];
  }
  const mode = status.isSymbolicLink() ? EXECUTABLE : status.mode & 0o777;
  return [{ type: 'file', path, mode, content: readFileSync(from) }];
}

/** Every directory before what is in it, once. */
function withDirectories(entries: readonly ArchiveEntry[]): readonly ArchiveEntry[] {
  const made = new Set<string>(['/']);
  const result: ArchiveEntry[] = [];
  const make = (path: string): void => {
    if (made.has(path)) return;
    make(dirname(path));
    made.add(path);
    result.push({ type: 'directory', path });
  };
  for (const path of MOUNT_POINTS) make(path);
  for (const entry of entries) {
    make(entry.type === 'directory' ? entry.path : dirname(entry.path));
    if (entry.type !== 'directory') result.push(entry);
  }
  return result;
}
