// /proc/PID/pagemap: an entry of 64 bits for each page of a process's memory (Linux, admin-guide/mm/pagemap.rst).
// Invariant: an open pagemap is of the memory that the process had when it was opened. Once that is gone (the process
// ended, or executed another program) it reads as nothing, whoever has the pid then.

import { closeSync, openSync, readSync } from 'node:fs';
import { PAGE_SIZE } from '@pageferry/xbzrle';
import { ioError } from './errors.ts';

export const PAGEMAP_ENTRY_BYTES = 8;
/** In the upper half of an entry: bit 55, written since the bits were cleared, and bit 63, there is a page. */
const SOFT_DIRTY = 1 << (55 - 32);
const IS_PRESENT = 1 << (63 - 32);

/** What is known of a page: flags, so that several mappings of it add up. */
export const WRITTEN = 1;
/** The process has no page there: a bit that it had is lost. */
export const UNMAPPED = 2;

/** One process's pagemap, open. */
export class Pagemap {
  readonly #path: string;
  readonly #fd: number;
  #entries = new Uint32Array(0);

  /** Throws MemoryError `io`: who may not look into the process gets EACCES. */
  constructor(pid: number | 'self', { proc = '/proc' } = {}) {
    this.#path = `${proc}/${pid}/pagemap`;
    try {
      this.#fd = openSync(this.#path, 'r');
    } catch (error) {
      throw ioError('open', this.#path, error);
    }
  }

  /**
   * Adds the flags of `pageCount` pages from an address on to `flags`, from its index `at` on. False if the process's
   * memory is gone: then not one of its bits can be trusted. Throws MemoryError `io`.
   */
  addFlags(address: number, pageCount: number, flags: Uint8Array, at: number): boolean {
    const entries = this.#read(address / PAGE_SIZE, pageCount);
    if (entries === undefined) return false;
    for (let page = 0; page < pageCount; page += 1) {
      const upper = entries[page * 2 + 1] ?? 0;
      const isWritten = (upper & SOFT_DIRTY) !== 0;
      const isUnmapped = (upper & IS_PRESENT) === 0;
      if (isWritten || isUnmapped) {
        flags[at + page] = (flags[at + page] ?? 0) | (isWritten ? WRITTEN : 0) | (isUnmapped ? UNMAPPED : 0);
      }
    }
    return true;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #read(firstEntry: number, entryCount: number): Uint32Array | undefined {
    if (this.#entries.length < entryCount * 2) this.#entries = new Uint32Array(entryCount * 2);
    const bytes = new Uint8Array(this.#entries.buffer);
    const lengthBytes = entryCount * PAGEMAP_ENTRY_BYTES;
    for (let done = 0; done < lengthBytes;) {
      const moved = this.#readSome(bytes, done, lengthBytes - done, firstEntry * PAGEMAP_ENTRY_BYTES + done);
      if (moved === 0) return undefined;
      done += moved;
    }
    return this.#entries;
  }

  #readSome(bytes: Uint8Array, at: number, lengthBytes: number, position: number): number {
    try {
      return readSync(this.#fd, bytes, at, lengthBytes, position);
    } catch (error) {
      throw ioError('read', this.#path, error);
    }
  }
}
