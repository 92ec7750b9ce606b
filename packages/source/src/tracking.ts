/**
 * How the pages that the guest writes are found, over one migration: what each way (scan-tracking.ts, soft-dirty-tracking.ts)
 * has to say to the rounds and to the status.
 *
 * Invariant: a round is about less than everything only after a round of this attempt that was about everything, and the final
 * round only if every page that it leaves out is known to be unwritten since it was read. Rounds before it may miss writes: the
 * final one finds them.
 */
import type { RoundScope, WatchedImage, WatchedWriters } from '@pageferry/memory';
import type { TrackerStatus } from '@pageferry/protocol';

/** What is tracked. */
export interface TrackedGuest {
  readonly images: readonly WatchedImage[];
  /** Why the guest itself may write to its memory unseen, in words. */
  readonly reasons: () => Promise<readonly string[]>;
  /** Runs `work` while the guest is stopped. */
  readonly pulse: (work: () => Promise<void>) => Promise<void>;
}

export interface Tracking {
  readonly status: TrackerStatus;

  /** The operator has asked for it, and so far nothing is in the way. */
  readonly mayOmitFinalScan: boolean;

  /** Before anybody is asked: what cannot be used is noted at once, so that the operator hears of it. */
  prepare(images: readonly WatchedImage[]): Promise<void>;

  /** Before the first round of an attempt, which is about everything. */
  startAttempt(guest: TrackedGuest): Promise<void>;

  /** What a round that does not begin with the digest exchange is about. */
  readonly scope: RoundScope;

  /** What the final round would be about, as far as is known now. */
  readonly finalScope: RoundScope;

  /** What the first round takes along, once. */
  takeWatched(): readonly WatchedWriters[] | undefined;

  /** A round of this attempt has ended. `doubts`: why streams scanned everything although bits were asked for. */
  roundEnded(round: number, scope: RoundScope, doubts: readonly string[]): void;

  /**
   * Judges anew what the final round may leave out. Between rounds that is for the prediction; after the pause it decides:
   * what the result says holds until the guest runs again.
   */
  checkConditions(): Promise<RoundScope>;

  /** What the final round is about is decided: whoever waits for an image need not wait any longer. */
  finalDecided(): void;

  /** The migration is over: others may track this guest. An attempt that is being started takes nothing any more. */
  release(): void;
}
