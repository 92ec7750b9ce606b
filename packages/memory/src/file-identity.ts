// What makes two open files the same file: device and inode, in the words of /proc/PID/maps.
// Strings and not numbers: inodes have 64 bits, identities are journaled as JSON, and they are only compared.

import type { BigIntStats } from 'node:fs';

/** A file's identity. */
export interface FileIdentity {
  /** `major:minor` in hexadecimal, at least two digits each, as /proc/PID/maps has it. */
  readonly device: string;
  /** Decimal. */
  readonly inode: string;
}

/** The identity from a stat; `dev` is split as makedev(3) of Linux joins it. */
export function identityOf({ dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>): FileIdentity {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  return { device: `${hexadecimal(major)}:${hexadecimal(minor)}`, inode: ino.toString() };
}

/** True if both are one file, which source and destination image must never be. */
export function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.device === b.device && a.inode === b.inode;
}

function hexadecimal(value: bigint): string {
  return value.toString(16).padStart(2, '0');
}
