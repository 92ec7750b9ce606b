/**
 * A guest that has Node inside, booted by QEMU without KVM, with a kernel that has soft-dirty bits. Its one script runs,
 * and what it prints is what the host sees; the machine ends with it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { buildGuest, QEMU, requirePrograms, type GuestFile } from '@pageferry/scripts/qemu';
import { GUEST_NODE, GUEST_ROOT, programFiles, runtimeFiles } from './runtime-files.ts';

export interface NestedRun {
  /** A compiled script, from the repository's root, and its arguments. */
  readonly script: string;
  readonly args: readonly string[];
  readonly memoryMib: number;
  /** The whole run, from power on; a guest that takes longer is ended. */
  readonly limitMs: number;
  readonly onLine: (line: string) => void;
}

/** The script's exit status as the guest says it. */
const STATUS = /^nested exit (\d+)$/;
const CPUS = '2';

/** Resolves with the script's exit status. @throws Error where the guest did not come to its end */
export async function runNested({ script, args, memoryMib, limitMs, onLine }: NestedRun): Promise<number> {
  requirePrograms([
    [QEMU, 'qemu-system-x86'],
    ['tc', 'iproute2'],
    ['xz', 'xz-utils'],
  ]);
  const { kernel, initrd } = buildGuest({
    name: 'nested',
    // A name server that never answers is worse than none.
    files: [...guestFiles(), { path: '/etc/hosts', content: '127.0.0.1 localhost\n' }],
    modules: ['sch_netem', 'brd'],
    init: initOf(script, args),
  });
  const command = [
    '-nodefaults',
    '-no-reboot',
    '-display',
    'none',
    '-machine',
    'q35',
    '-accel',
    'tcg,thread=multi',
  ];
  const boot = ['-cpu', 'max', '-smp', CPUS, '-m', `${memoryMib}M`, '-kernel', kernel, '-initrd', initrd];
  const append = ['-append', 'console=ttyS0 quiet loglevel=1 panic=-1', '-serial', 'stdio'];
  const child = spawn(QEMU, [...command, ...boot, ...append], { stdio: ['ignore', 'pipe', 'inherit'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  let status: number | undefined;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const text = line.replaceAll('\r', '');
    const [, code] = STATUS.exec(text) ?? [];
    if (code === undefined) onLine(text);
    else status = Number(code);
  });
  const endAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', endAtExit);
  await once(child, 'close');
  process.off('exit', endAtExit);
  clearTimeout(timer);
  if (status === undefined) throw new Error('the guest ended, or was ended, without a word of how');
  return status;
}

function guestFiles(): readonly GuestFile[] {
  const files = new Map<string, GuestFile>();
  // In the place of busybox's own, which knows no netem.
  for (const file of [...runtimeFiles(), ...programFiles('/usr/sbin/tc', '/bin/tc')])
    files.set(file.path, file);
  return [...files.values()];
}

/** Times are long there: everything is interpreted, and a Node process takes seconds to start. */
function initOf(script: string, args: readonly string[]): string {
  const words = [GUEST_NODE, `${GUEST_ROOT}/${script}`, ...args].map((word) => `'${word}'`);
  return [
    'ip link set lo up',
    // Huge pages of anonymous memory are split all the time, which would spoil every proof (thp_split_*).
    'echo never >/sys/kernel/mm/transparent_hugepage/enabled',
    'export PAGEFERRY_TEST_PATIENCE=10 TMPDIR=/tmp',
    `cd ${GUEST_ROOT}`,
    words.join(' '),
    'echo "nested exit $?"',
    'poweroff -f',
  ].join('\n');
}
