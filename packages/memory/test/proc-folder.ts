// A folder laid out like /proc, with the processes that a test wants.
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PAGE_SIZE } from '@pageferry/xbzrle';
import type { Image } from '../src/image-file.ts';

/** Entries of a pagemap: there is a page; written; both. */
export const PRESENT = 1n << 63n;
export const PRESENT_WRITTEN = PRESENT | (1n << 55n);
export const SWAPPED_WRITTEN = (1n << 62n) | (1n << 55n);

/** What a process of ours maps of an image, page by page. */
export interface FakeRange {
  readonly address: number;
  readonly firstPage: number;
  readonly pageCount: number;
  readonly permissions?: string;
}

export interface FakeProcess {
  readonly startTime?: number;
  readonly ranges?: readonly FakeRange[];
  /** What smaps says of each mapping, after its first line. */
  readonly smaps?: string;
}

/** The text of a smaps entry where nothing is odd. */
export const PLAIN_SMAPS = `Size:               4096 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Locked:                0 kB
THPeligible:           0
VmFlags: rd wr sh mr mw me ms sd
`;

/** Lays a process out: maps, smaps, stat, clear_refs, a pagemap without a bit. It may be there already. */
export function writeProcess(proc: string, pid: number, image: Image, process: FakeProcess = {}): void {
  const { startTime = 1000 + pid, ranges = [], smaps = PLAIN_SMAPS } = process;
  const folder = join(proc, String(pid));
  mkdirSync(folder, { recursive: true });
  const fields = Array.from({ length: 30 }, (_, index) => (index === 19 ? startTime : index));
  writeFileSync(join(folder, 'stat'), `${pid} (a guest) S ${fields.slice(1).join(' ')}\n`);
  const lines = ranges.map((range) => mapsLine(image, range));
  writeFileSync(join(folder, 'maps'), ['00400000-00401000 r-xp 00000000 00:00 0', ...lines, ''].join('\n'));
  writeFileSync(join(folder, 'smaps'), lines.map((line) => `${line}\n${smaps}`).join(''));
  writeFileSync(join(folder, 'clear_refs'), '');
  const end = Math.max(0, ...ranges.map(({ address, pageCount }) => address / PAGE_SIZE + pageCount));
  const fd = openSync(join(folder, 'pagemap'), 'w');
  ftruncateSync(fd, end * 8);
  closeSync(fd);
  for (const { address, pageCount } of ranges) setEntries(proc, pid, address, pageCount, PRESENT);
}

/** Sets what the pagemap says of pages from an address on. */
export function setEntries(
  proc: string,
  pid: number | 'self',
  address: number,
  pageCount: number,
  entry: bigint,
): void {
  const fd = openSync(join(proc, String(pid), 'pagemap'), 'r+');
  const entries = new BigUint64Array(pageCount).fill(entry);
  writeSync(fd, new Uint8Array(entries.buffer), 0, entries.byteLength, (address / PAGE_SIZE) * 8);
  closeSync(fd);
}

function mapsLine(image: Image, { address, firstPage, pageCount, permissions = 'rw-s' }: FakeRange): string {
  const end = address + pageCount * PAGE_SIZE;
  const offset = (firstPage * PAGE_SIZE).toString(16).padStart(8, '0');
  return `${address.toString(16)}-${end.toString(16)} ${permissions} ${offset} ${image.device} ${image.inode} ${image.path}`;
}
