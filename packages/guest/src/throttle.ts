// Slows a guest down by stopping it for a share of the time, so that it dirties less memory than can be sent.
// Invariant: a guest that is stopped by somebody else is left alone, and after `stop` none is stopped by us.
// The slices are those of QEMU's auto-converge: at least 10 ms of running, so that 99 % is a second of standing still.
import type { Clock, Guest } from './guest.ts';

const PERIOD_MS = 100;
const RUNNING_MIN_MS = 10;
const PERCENTAGE_MAX = 99;

export interface Slices {
  readonly runningMs: number;
  readonly heldMs: number;
}

/** How long the guest runs and stands, in turn, at a percentage of standing from 1 to 99. */
export function slicesOf(percentage: number): Slices {
  const runningMs = Math.max(RUNNING_MIN_MS, PERIOD_MS - (PERIOD_MS * percentage) / 100);
  return { runningMs, heldMs: (runningMs * percentage) / (100 - percentage) };
}

/**
 * A daemon that dies in between leaves the guest stopped for good: whoever throttles has its guard armed. Stopped before
 * the guest is paused for the switchover.
 */
export class Throttle {
  readonly #guest: Pick<Guest, 'runState' | 'hold' | 'release'>;
  readonly #clock: Clock;
  #percentage = 0;
  #running: Promise<void> | null = null;
  #failure: unknown = null;
  #wake: () => void = () => undefined;

  constructor(guest: Pick<Guest, 'runState' | 'hold' | 'release'>, clock: Clock) {
    this.#guest = guest;
    this.#clock = clock;
  }

  get percentage(): number {
    return this.#percentage;
  }

  /** Share of the time in which the guest stands, 0 to 99; it takes effect with the next period. */
  set(percentage: number): void {
    if (!(percentage >= 0 && percentage <= PERCENTAGE_MAX))
      throw new RangeError(`a guest cannot be throttled by ${percentage} %`);
    this.#percentage = percentage;
    if (percentage > 0) this.#running ??= this.#run();
  }

  /** Resolves with the guest not held by us. @throws GuestError of a stop or a continue that failed meanwhile */
  async stop(): Promise<void> {
    this.#percentage = 0;
    this.#wake();
    await this.#running;
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  async #run(): Promise<void> {
    try {
      while (this.#percentage > 0) await this.#period(slicesOf(this.#percentage));
    } catch (error) {
      this.#failure = error;
      this.#percentage = 0;
    } finally {
      this.#running = null;
    }
  }

  async #period({ runningMs, heldMs }: Slices): Promise<void> {
    if ((await this.#guest.runState()) === 'running') {
      try {
        await this.#guest.hold();
        await this.#wait(heldMs);
      } finally {
        await this.#guest.release();
      }
    }
    await this.#wait(runningMs);
  }

  /** Until then, or until `stop`. */
  async #wait(milliseconds: number): Promise<void> {
    if (this.#percentage === 0) return;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([this.#clock.wait(milliseconds), woken]);
  }
}
