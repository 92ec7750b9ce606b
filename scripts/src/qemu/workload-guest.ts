/** The guest that checks its own memory and disk: scripts/guest/workload.c as the one program of an initramfs. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { programPath } from '../harness/child.ts';
import { cached } from './cache.ts';
import { requirePrograms } from './debian.ts';
import { buildGuest, type BootFiles } from './guest-image.ts';

/** What the guest does; as its kernel's command line says it. */
export interface WorkloadOptions {
  /** Memory under the pattern, MiB. */
  readonly patternMib: number;
  /** Pages of the pattern written a second; 0: written once. */
  readonly ratePerSecond: number;
  /** Whether the program of docs/xbzrle.txt runs too. */
  readonly isDocs: boolean;
  /** Whether it writes to /dev/vda. */
  readonly isDisk: boolean;
}

const COMPILE = ['-O2', '-Wall', '-Wextra', '-Werror', '-static', '-pthread'];

/** Makes what QEMU boots; installs the compiler if there is none. */
export function buildWorkloadGuest(): BootFiles {
  return buildGuest({
    name: 'workload',
    modules: ['virtio_pci', 'virtio_blk', 'virtio_net'],
    files: [{ path: '/bin/workload', from: compiled(programPath('scripts/guest/workload.c')) }],
    init: 'exec /bin/workload $(cat /proc/cmdline)',
  });
}

/** For -append. */
export function workloadCommandLine(options: WorkloadOptions): string {
  const { patternMib, ratePerSecond, isDocs, isDisk } = options;
  const words = [
    // nowatchdog: to a guest whose QEMU was stopped for long, its clock has jumped.
    'console=ttyS0 quiet loglevel=1 panic=-1 nowatchdog',
    `pattern-mib=${patternMib} rate=${ratePerSecond} docs=${isDocs ? 1 : 0}`,
    ...(isDisk ? ['disk=/dev/vda'] : []),
  ];
  return words.join(' ');
}

/** The program that a C file becomes, linked statically. */
export function compiled(source: string): string {
  const digest = createHash('sha256').update(readFileSync(source)).update(COMPILE.join(' ')).digest('hex');
  const entry = cached(`compiled-${digest.slice(0, 16)}`, (directory) => {
    requirePrograms([
      ['cc', 'gcc'],
      ['cc', 'libc6-dev'],
    ]);
    const { status, stderr } = spawnSync('cc', [...COMPILE, '-o', join(directory, 'program'), source]);
    if (status !== 0) throw new Error(`${source} cannot be compiled (cc, libc6-dev): ${stderr.toString()}`);
  });
  return join(entry, 'program');
}
