/**
 * Whether and when a migration that was interrupted goes on: which causes may pass, and how long to wait between
 * attempts.
 *
 * Everything up to the commit may be tried again in a newer epoch, because nothing of the old one is assumed. What will
 * not change by itself (a refused hello, a guest that is gone, no convergence) or was asked for (cancel) is the end.
 */
import {
  isGuestPaused,
  problemName,
  type Phase,
  type ProblemDetails,
  type ProblemName,
} from '@pageferry/protocol';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/** Causes that the next attempt may not meet again. */
const PASSING: readonly ProblemName[] = [
  'link-lost',
  'peer-unreachable',
  'peer-timeout',
  'engine-died',
  'protocol-violation',
  'roots-differ',
  'switchover-timeout',
  'image-locked',
  'image-io',
];

/** Whether a failure with this problem may be followed by a newer epoch. */
export function mayPass({ type }: ProblemDetails): boolean {
  const name = problemName(type);
  return name !== undefined && PASSING.includes(name);
}

/** Attempts in a row without a confirmed round in between, bounded by `reconnect-limit`. */
export class AttemptLimit {
  readonly #limit: number;
  #count = 0;
  /** Attempts that ended while the guest was paused; a confirmed round does not make up for those. */
  #switchoverCount = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isPossible(): boolean {
    return this.#limit > 0;
  }

  get isLeft(): boolean {
    return this.#count < this.#limit && this.#switchoverCount < this.#limit;
  }

  /** Pause before the next attempt, milliseconds: doubled from one to the next. */
  next(): number {
    this.#count += 1;
    return Math.min(FIRST_PAUSE_MS * 2 ** (this.#count - 1), LONGEST_PAUSE_MS);
  }

  /** An attempt has ended in this phase. */
  ended(phase: Phase): void {
    if (isGuestPaused[phase]) this.#switchoverCount += 1;
  }

  /** A round was confirmed: the connection is as good as a new one. */
  succeeded(): void {
    this.#count = 0;
  }
}
