/**
 * The command line of a guest's QEMU, the same at both sides but for the side's own files: RAM on a shared file, a disk
 * on shared storage whose lock fences the other side, no device that moves much memory in the pause.
 */
import type { BootFiles } from './guest-image.ts';

export const QEMU = 'qemu-system-x86_64';
/** The RAM block's id, which QEMU takes from the memory backend. */
export const RAM_ID = 'pc.ram';

export interface Machine {
  readonly boot: BootFiles;
  /** The kernel's command line. */
  readonly append: string;
  /** Of the RAM, bytes. */
  readonly memoryBytes: number;
  /** Of the side's RAM. */
  readonly image: string;
  /** On storage that both sides share. */
  readonly disk: string;
  /** UNIX socket that the console connects to. */
  readonly serial: string;
  /** UNIX socket that the monitor listens on. */
  readonly qmp: string;
  /** Default: pc. */
  readonly type?: string;
  /** Whether it waits for a guest. */
  readonly isIncoming: boolean;
}

/** The program and its arguments. */
export function machineCommand(machine: Machine): readonly string[] {
  const { boot, append, memoryBytes, image, disk, serial, qmp, type = 'pc', isIncoming } = machine;
  return [
    QEMU,
    '-nodefaults',
    '-no-user-config',
    '-no-reboot',
    '-display',
    'none',
    '-machine',
    `${type},accel=tcg,memory-backend=${RAM_ID}`,
    '-m',
    `${memoryBytes / 1024}K`,
    '-object',
    `memory-backend-file,id=${RAM_ID},size=${memoryBytes},mem-path=${image},share=on`,
    '-kernel',
    boot.kernel,
    '-initrd',
    boot.initrd,
    '-append',
    append,
    '-blockdev',
    `driver=raw,node-name=disk0,file.driver=file,file.filename=${disk},file.locking=on`,
    '-device',
    'virtio-blk-pci,id=blk0,drive=disk0',
    '-netdev',
    'user,id=net0,restrict=on',
    '-device',
    'virtio-net-pci,id=nic0,netdev=net0,romfile=',
    '-chardev',
    `socket,id=serial0,path=${serial}`,
    '-serial',
    'chardev:serial0',
    '-qmp',
    `unix:${qmp},server=on,wait=off`,
    ...(isIncoming ? ['-incoming', 'defer'] : []),
  ];
}
