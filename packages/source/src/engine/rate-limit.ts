/**
 * `max-bandwidth` for all streams together: a token bucket in shared memory (a virtual clock, as in GCRA).
 *
 * The clock says when the line is free again; who sends advances it by the time that his bytes take. A burst
 * after an idle time is bounded by BURST_NS. A change of the rate voids what was reserved under the old one,
 * so that nobody sleeps on after the limit was lifted.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** How far the clock may lag behind the present: an idle line saves up at most this. */
const BURST_NS = 20_000_000n;
const NS_PER_SECOND = 1_000_000_000;
const NS_PER_MS = 1_000_000;
/** The longest sleep before the rate is looked at again. */
const SLICE_MS = 50;

const FREE_AT_NS = 0;
const BYTES_PER_SECOND = 1;
const GENERATION = 2;
const CELL_COUNT = 3;

/** One limit, shared by the threads that were given `buffer`. Rates are bytes/s; 0 is no limit. */
export class RateLimit {
  readonly #cells: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#cells = new BigInt64Array(buffer);
  }

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(CELL_COUNT * BigInt64Array.BYTES_PER_ELEMENT);
  }

  /** Sets the rate at once, also for those who wait now. */
  set(bytesPerSecond: number): void {
    Atomics.store(this.#cells, BYTES_PER_SECOND, BigInt(Math.ceil(bytesPerSecond)));
    Atomics.store(this.#cells, FREE_AT_NS, process.hrtime.bigint());
    Atomics.add(this.#cells, GENERATION, 1n);
  }

  /** Resolves when `byteCount` bytes may be sent. Returns the milliseconds waited. */
  async reserve(byteCount: number): Promise<number> {
    let waitedMs = 0;
    for (;;) {
      const generation = Atomics.load(this.#cells, GENERATION);
      let waitMs = this.#take(byteCount);
      while (waitMs > 0 && Atomics.load(this.#cells, GENERATION) === generation) {
        const slice = Math.min(waitMs, SLICE_MS);
        await sleep(slice);
        waitMs -= slice;
        waitedMs += slice;
      }
      if (Atomics.load(this.#cells, GENERATION) === generation) return waitedMs;
    }
  }

  /** Advances the clock by the bytes' time; returns how long to wait before sending them, in milliseconds. */
  #take(byteCount: number): number {
    for (;;) {
      const rate = Number(Atomics.load(this.#cells, BYTES_PER_SECOND));
      if (rate === 0) return 0;
      const now = process.hrtime.bigint();
      const freeAt = Atomics.load(this.#cells, FREE_AT_NS);
      const start = freeAt > now - BURST_NS ? freeAt : now - BURST_NS;
      const next = start + BigInt(Math.ceil((byteCount / rate) * NS_PER_SECOND));
      if (Atomics.compareExchange(this.#cells, FREE_AT_NS, freeAt, next) !== freeAt) continue;
      return start > now ? Number(start - now) / NS_PER_MS : 0;
    }
  }
}
