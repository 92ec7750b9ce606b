/**
 * Every way in which soft-dirty bits get lost, or are never set: what happens to pages between the first scan and the
 * pause, and where the image has to be for it. Sources: design.md section 5, Linux admin-guide/mm/soft-dirty.rst.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorCode } from '@pageferry/scripts/harness';
import { Subject, type SubjectOrder } from './subject.ts';

/** Where the image of a loss is, and what else must be so on this machine. */
export type Ground = 'tmpfs' | 'hugetlbfs' | 'huge-pages' | 'swap';

export interface Loss {
  readonly name: string;
  readonly ground: Ground;
  /** The guest's process passes its mapping on when it forks. */
  readonly mayFork: boolean;
  /** The pages that come to be other than they were. */
  readonly pages: { readonly first: number; readonly count: number };
  readonly carryOut: (subject: Subject, imagePath: string) => Promise<void>;
  /** Nobody but the guest itself can know of it, so the operator's word that it does not happen is not given. */
  readonly isGuestsOwn?: boolean;
}

const VALUE = 0xa5;
const AT = { first: 1000, count: 100 } as const;

const order = (deed: SubjectOrder['deed'], pages: { first: number; count: number } = AT): SubjectOrder => ({
  deed,
  ...pages,
  value: VALUE,
});

const orders =
  (...deeds: readonly SubjectOrder[]): Loss['carryOut'] =>
  async (subject) => {
    for (const deed of deeds) await subject.order(deed);
  };

const usual = { ground: 'tmpfs', mayFork: false, pages: AT } as const;

export const LOSSES: readonly Loss[] = [
  { ...usual, name: 'nothing: written through the mapping', carryOut: orders(order('write')) },
  {
    ...usual,
    name: 'MADV_DONTNEED after the write',
    carryOut: orders(order('write'), order('drop')),
  },
  {
    ...usual,
    name: 'MADV_DONTNEED after the write, and read',
    carryOut: orders(order('write'), order('drop'), order('read')),
    isGuestsOwn: true,
  },
  { ...usual, name: 'written with pwrite', carryOut: orders(order('call')) },
  { ...usual, name: 'hole punched (MADV_REMOVE)', carryOut: orders(order('punch')) },
  { ...usual, name: 'by a forked child that exited', mayFork: true, carryOut: orders(order('fork')) },
  {
    ...usual,
    name: 'by another process that exited',
    carryOut: async (_, imagePath) => {
      const other = await Subject.start(imagePath, { mayFork: false });
      await other.order(order('write'));
      await other.end();
    },
  },
  {
    ...usual,
    name: 'hugetlbfs',
    ground: 'hugetlbfs',
    carryOut: orders(order('write')),
  },
  {
    ...usual,
    name: 'a neighbour in a huge page that is punched',
    ground: 'huge-pages',
    carryOut: orders(order('write'), order('punch', { first: AT.first + AT.count, count: 1 })),
  },
  {
    ...usual,
    name: 'reclaimed to swap after the write',
    ground: 'swap',
    carryOut: async (subject, imagePath) => {
      await subject.order(order('write'));
      reclaim(dirname(imagePath));
    },
  },
];

/** The directory for images of each ground, below one; makes what is not there. Needs root. */
export function prepareGround(ground: Ground, directory: string): string {
  const path = join(directory, ground);
  mkdirSync(path);
  switch (ground) {
    case 'tmpfs':
      break;
    case 'hugetlbfs':
      writeFileSync('/proc/sys/vm/nr_hugepages', '24');
      run('mount', ['-t', 'hugetlbfs', 'none', path]);
      break;
    case 'huge-pages':
      run('mount', ['-t', 'tmpfs', '-o', 'huge=always', 'tmpfs', path]);
      break;
    case 'swap':
      run('mkswap', ['/dev/ram0']);
      run('swapon', ['/dev/ram0']);
      mkdirSync(cgroupOf(path));
      run('mount', ['-t', 'cgroup2', 'none', cgroupOf(path)]);
      writeFileSync(join(cgroupOf(path), 'cgroup.subtree_control'), '+memory');
      mkdirSync(join(cgroupOf(path), 'guest'));
      break;
  }
  return path;
}

/** Before the guest has touched its memory. */
export function enterGround(ground: Ground, path: string, pid: number): void {
  if (ground === 'swap') writeFileSync(join(cgroupOf(path), 'guest/cgroup.procs'), String(pid));
}

function cgroupOf(path: string): string {
  return join(path, 'cgroup');
}

/** Has the kernel take the guest's pages out of memory, as many as it gets; MADV_PAGEOUT leaves those that others map. */
function reclaim(path: string): void {
  try {
    writeFileSync(join(cgroupOf(path), 'guest/memory.reclaim'), '64M');
  } catch (error) {
    if (errorCode(error) !== 'EAGAIN') throw error;
  }
}

/** Takes the ground away again. */
export function leaveGround(ground: Ground, path: string): void {
  if (ground === 'swap') {
    run('swapoff', ['/dev/ram0']);
    rmdirSync(join(cgroupOf(path), 'guest'));
    run('umount', [cgroupOf(path)]);
  }
  if (ground === 'hugetlbfs' || ground === 'huge-pages') run('umount', [path]);
  if (ground === 'hugetlbfs') writeFileSync('/proc/sys/vm/nr_hugepages', '0');
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}
