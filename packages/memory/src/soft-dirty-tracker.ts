// The tracker that asks the kernel which pages were written: bit 55 of /proc/PID/pagemap, of every process that maps the
// image shared and writable.
// Invariant: a write before a page's scan is seen by the scan, a write after it by the bit. The bits are cleared once,
// while the guest is stopped (soft-dirty-clear.ts), and only then the first round of the attempt, which names everything,
// begins to read. From there on the bits are read and never cleared, so a bit that is set says "since before the scan",
// and stays. Reading and clearing are two calls: what is written in between them would be in neither.
// Bits get lost where page tables do (MADV_DONTNEED, reclaim, huge pages that are split) and are never set by pwrite, DMA
// and processes that are not in the list. So a tracker of bits alone is not enough for the last round: it ends with a
// scan of everything, unless soft-dirty-conditions.ts has proven that nothing of this happened.

import { EXTENT_PAGES, PAGE_SIZE } from '@pageferry/xbzrle';
import { isDeepStrictEqual } from 'node:util';
import { MemoryError } from './errors.ts';
import { processStartTime } from './mappings.ts';
import { Pagemap, UNMAPPED, WRITTEN } from './pagemap.ts';
import { readMappings, type MappedFile } from './proc-maps.ts';
import { dataBatches, type ScanTracker } from './scan-tracker.ts';
import type { Shard, ShardChunk } from './shard.ts';
import type { DirtyTracker, PageRun, TrackedRound } from './tracker.ts';
import { writableRanges, type WritableRange, type Writer } from './writers.ts';

/**
 * Clean pages between written ones that are named rather than skipped: comparing 16 pages where they are mapped costs
 * about as much as beginning another run.
 */
export const MERGED_GAP_PAGES = 16;

export interface SoftDirtyTrackerOptions {
  /** Names everything where bits are not asked for or cannot be trusted. */
  readonly scan: ScanTracker;
  readonly shard: Shard;
  readonly proc?: string;
}

/** Whose bits are read: plain data, as the daemon tells its engine. */
export interface WatchedWriters {
  readonly file: MappedFile;
  readonly writers: readonly Writer[];
}

interface OpenWriter {
  readonly writer: Writer;
  readonly pagemap: Pagemap;
}

/** One stream's view of the bits of one block. */
export class SoftDirtyTracker implements DirtyTracker {
  readonly name = 'soft-dirty';
  readonly #options: SoftDirtyTrackerOptions;
  readonly #proc: { readonly proc: string };
  readonly #flags = new Uint8Array(EXTENT_PAGES);
  #writers: readonly OpenWriter[] = [];
  #file: MappedFile | undefined;
  #doubt: string | undefined;

  constructor(options: SoftDirtyTrackerOptions) {
    this.#options = options;
    this.#proc = { proc: options.proc ?? '/proc' };
  }

  /** Why the last round that asked for bits named everything instead, in words; undefined if it did not. */
  get doubt(): string | undefined {
    return this.#doubt;
  }

  /**
   * Whose bits are read from now on: found after the clear and before the first round. What is opened here is this very
   * memory of the process, whatever becomes of its pid.
   */
  track({ file, writers }: WatchedWriters): void {
    this.close();
    this.#file = file;
    const opened: OpenWriter[] = [];
    for (const writer of writers) {
      const pagemap = openPagemap(writer.pid, this.#proc);
      if (pagemap !== undefined) opened.push({ writer, pagemap });
    }
    this.#writers = opened;
    if (opened.length < writers.length) this.close();
  }

  close(): void {
    for (const { pagemap } of this.#writers) pagemap.close();
    this.#writers = [];
  }

  /** Throws MemoryError: truncated, io. */
  *candidates(round: TrackedRound): Generator<PageRun, void, undefined> {
    this.#doubt = undefined;
    if (round.scope !== 'everything') {
      this.#doubt = this.#findDoubt() ?? (yield* this.#written(round.scope === 'written-or-unmapped'));
      if (this.#doubt === undefined) return;
    }
    yield* this.#options.scan.candidates(round);
  }

  /** Whether each process is who it was and maps the image where it did; in words if not. */
  #findDoubt(): string | undefined {
    const file = this.#file;
    if (file === undefined || this.#writers.length === 0) return 'there is no process whose bits can be read';
    for (const { writer } of this.#writers) {
      const { pid, startTime, ranges } = writer;
      if (processStartTime(pid, this.#proc) !== startTime) return `process ${pid} has ended`;
      const mappings = readMappings(pid, file, this.#proc);
      if (typeof mappings === 'string') return `the mappings of process ${pid} cannot be read any more`;
      if (!isDeepStrictEqual(writableRanges(mappings), ranges))
        return `process ${pid} maps ${file.path} otherwise than before`;
    }
    return undefined;
  }

  /** The result says in words why the bits turned out not to count; what was named until then is only named twice. */
  *#written(withUnmapped: boolean): Generator<PageRun, string | undefined, undefined> {
    const { scan, shard } = this.#options;
    scan.startRound();
    for (const chunk of shard.chunks()) {
      const doubt = this.#readFlags(chunk);
      if (doubt !== undefined) return doubt;
      // The scan knows holes, of which an unmapped page most often is one, and what of the rest has changed.
      if (withUnmapped && this.#isAny(UNMAPPED, chunk.pageCount)) yield* scan.chunkRuns(chunk);
      else yield* this.#writtenRuns(chunk);
    }
    return undefined;
  }

  #readFlags({ firstPage, pageCount }: ShardChunk): string | undefined {
    this.#flags.fill(0);
    for (const { writer, pagemap } of this.#writers) {
      for (const range of writer.ranges) {
        const { first, end } = overlap(range, firstPage, pageCount);
        if (end <= first) continue;
        const address = range.address + (first - range.firstPage) * PAGE_SIZE;
        if (!pagemap.addFlags(address, end - first, this.#flags, first - firstPage))
          return `the memory of process ${writer.pid} is gone`;
      }
    }
    return undefined;
  }

  #isAny(flag: number, pageCount: number): boolean {
    for (let page = 0; page < pageCount; page += 1) {
      if (((this.#flags[page] ?? 0) & flag) !== 0) return true;
    }
    return false;
  }

  *#writtenRuns({ firstPage, firstLocalPage, pageCount }: ShardChunk): Generator<PageRun, void, undefined> {
    for (let page = 0; page < pageCount;) {
      const first = this.#nextWritten(page, pageCount);
      if (first === pageCount) return;
      let end = first + 1;
      for (;;) {
        const next = this.#nextWritten(end, pageCount);
        if (next === pageCount || next - end > MERGED_GAP_PAGES) break;
        end = next + 1;
      }
      yield* dataBatches(firstPage + first, firstLocalPage + first, end - first);
      page = end;
    }
  }

  #nextWritten(from: number, pageCount: number): number {
    let page = from;
    while (page < pageCount && ((this.#flags[page] ?? 0) & WRITTEN) === 0) page += 1;
    return page;
  }
}

function openPagemap(pid: number, proc: { readonly proc: string }): Pagemap | undefined {
  try {
    return new Pagemap(pid, proc);
  } catch (error) {
    if (error instanceof MemoryError) return undefined;
    throw error;
  }
}

/** The pages of a chunk that a range holds. */
function overlap(
  range: WritableRange,
  firstPage: number,
  pageCount: number,
): { readonly first: number; readonly end: number } {
  const first = Math.max(firstPage, range.firstPage);
  return { first, end: Math.min(firstPage + pageCount, range.firstPage + range.pageCount) };
}
