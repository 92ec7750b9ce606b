/**
 * What is on record of one migration for the status: the phase it is in, how long those before took, when the guest was
 * paused, what was proven, and what it came to. Nothing is decided by it.
 */
import { performance } from 'node:perf_hooks';
import type { DeviceStateStatus, Phase, ProblemDetails, Proof, Warning } from '@pageferry/protocol';

/** The end of a migration. */
export type Outcome = 'completed' | 'failed' | 'cancelled';

/** Times are of performance.now(), milliseconds. */
export class MigrationRecord {
  readonly startedMs = performance.now();
  readonly phases: { readonly name: string; readonly ms: number }[] = [];
  readonly warnings: Warning[] = [];
  readonly verified: Proof[] = [];
  phase: Phase = 'connecting';
  deviceState: DeviceStateStatus | undefined;
  #setupMs: number | undefined;
  #pausedMs: number | undefined;
  #runningMs: number | undefined;
  #endedMs: number | undefined;
  #outcome: Outcome | undefined;
  #problem: ProblemDetails | undefined;

  /** How long it took until the destination had accepted. */
  get setupMs(): number | undefined {
    return this.#setupMs;
  }

  get endedMs(): number | undefined {
    return this.#endedMs;
  }

  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  get problem(): ProblemDetails | undefined {
    return this.#problem;
  }

  /** From the order to pause the guest here until it was heard that it runs there. */
  get downtimeMs(): number | undefined {
    if (this.#pausedMs === undefined || this.#runningMs === undefined) return undefined;
    return this.#runningMs - this.#pausedMs;
  }

  /** The phase while `work` lasts, and how long that was. */
  async timed<T>(name: Phase, work: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    this.phase = name;
    try {
      return await work();
    } finally {
      this.phases.push({ name, ms: performance.now() - startMs });
    }
  }

  setUp(): void {
    this.#setupMs = performance.now() - this.startedMs;
  }

  paused(): void {
    this.#pausedMs = performance.now();
  }

  /** The guest runs at the destination. */
  running(): void {
    this.#runningMs = performance.now();
  }

  /** What was said of an attempt that has ended does not hold for the next one. */
  startAttempt(): void {
    this.#pausedMs = undefined;
    this.deviceState = undefined;
    this.verified.length = 0;
  }

  /** It was over when the guest ran there. The result: how long it took, milliseconds. */
  completed(): number {
    this.#outcome = 'completed';
    this.phase = 'completed';
    this.#endedMs = this.#runningMs ?? performance.now();
    return this.#endedMs - this.startedMs;
  }

  ended(outcome: 'failed' | 'cancelled', problem: ProblemDetails): void {
    this.#outcome = outcome;
    this.phase = outcome;
    this.#problem = problem;
    this.#endedMs = performance.now();
  }
}
