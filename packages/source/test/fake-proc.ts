// A folder laid out like /proc: this process with its stack, and one guest that maps an image shared and writable.
import {
  ftruncateSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { openImage, type Image } from '@pageferry/memory';

const STACK = 0x10000;
const ADDRESS = 0x7f0000000;
const PAGES = 4;
const PAGE_BYTES = 4096;
export const GUEST_PID = 4711;

interface Teardown {
  teardown(callback: () => void): void;
}

export interface FakeProc {
  readonly proc: string;
  readonly image: Image;
}

/** `hasBits`: as on a kernel with CONFIG_MEM_SOFT_DIRTY. */
export function makeProc(t: Teardown, { hasBits = true } = {}): FakeProc {
  const folder = mkdtempSync('/dev/shm/pageferry-source-');
  const path = join(folder, 'guest.ram');
  writeFileSync(path, new Uint8Array(PAGES * PAGE_BYTES).fill(1));
  const image = openImage({ path, writable: false });
  t.teardown(() => {
    image.close();
    rmSync(folder, { recursive: true });
  });
  const proc = join(folder, 'proc');
  mkdirSync(join(proc, 'self'), { recursive: true });
  mkdirSync(join(proc, String(GUEST_PID)));
  writeFileSync(join(proc, 'meminfo'), 'SwapTotal:       0 kB\n');
  writeCounters(proc, 0);
  writeFileSync(join(proc, 'self', 'maps'), `${line(STACK)} rw-p 00000000 00:00 0   [stack]\n`);
  const pagemap = openSync(join(proc, 'self', 'pagemap'), 'w');
  const entry = (1n << 63n) | (hasBits ? 1n << 55n : 0n);
  const entries = new BigUint64Array(PAGES).fill(entry);
  writeSync(pagemap, new Uint8Array(entries.buffer), 0, PAGES * 8, (STACK / PAGE_BYTES) * 8);
  ftruncateSync(pagemap, (STACK / PAGE_BYTES + PAGES) * 8);
  closeSync(pagemap);
  const guest = join(proc, String(GUEST_PID));
  const mapping = `${line(ADDRESS)} rw-s 00000000 ${image.device} ${image.inode} ${path}\n`;
  const flags = 'ShmemPmdMapped:        0 kB\nTHPeligible:           0\nVmFlags: rd wr sh dc\n';
  writeFileSync(join(guest, 'maps'), mapping);
  writeFileSync(join(guest, 'smaps'), mapping + flags);
  writeFileSync(join(guest, 'pagemap'), '');
  writeFileSync(join(guest, 'clear_refs'), '');
  const fields = Array.from({ length: 30 }, (_, index) => index);
  writeFileSync(join(guest, 'stat'), `${GUEST_PID} (guest) S ${fields.join(' ')}\n`);
  return { proc, image };
}

/** As if pages had been written to swap. */
export function writeCounters(proc: string, pswpout: number): void {
  writeFileSync(join(proc, 'vmstat'), `pswpin 0\npswpout ${pswpout}\nthp_split_page 0\n`);
}

function line(address: number): string {
  return `${address.toString(16)}-${(address + PAGES * PAGE_BYTES).toString(16)}`;
}
