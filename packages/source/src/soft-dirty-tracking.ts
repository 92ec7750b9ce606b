/**
 * Pages by the kernel's soft-dirty bits, over one migration.
 *
 * Invariant: a round may be about less than everything only after a round of this attempt that was about everything and
 * began after the clear (memory/soft-dirty-tracker.ts). The final round is about less only if `final-scan` is off and every
 * condition was proven: at the clear, and again after the pause (memory/soft-dirty-conditions.ts).
 * What keeps the bits from being used is no failure: the migration falls back to the scan and says why.
 */
import { performance } from 'node:perf_hooks';
import {
  clearSoftDirty,
  findFailedConditions,
  findFailedSince,
  findUnwatched,
  ImageWatch,
  MemoryError,
  readSoftDirtyFacts,
  type RoundScope,
  type SoftDirtyFacts,
  type WatchedImage,
  type WatchedWriters,
} from '@pageferry/memory';
import type { Tracker, TrackerStatus, Warning } from '@pageferry/protocol';
import { system } from '@pageferry/transport';
import type { Logger } from 'pino';
import { pidsOf, TrackableWriters } from './trackable-writers.ts';
import type { TrackedGuest, Tracking } from './tracking.ts';

/** What was asked for. */
type SoftDirtyRequest = Extract<Tracker, { type: 'soft-dirty' }>;

export interface SoftDirtyTrackingOptions {
  readonly requested: SoftDirtyRequest;
  readonly logger: Logger;
  readonly warn: (warning: Warning) => void;
  /** Where procfs is. */
  readonly proc?: string;
}

/** Found between the clear and the first scan. */
interface AtClear {
  readonly facts: SoftDirtyFacts;
  /**
   * What was said then or later against the bits, and stays: a device that is gone again wrote unseen while it was
   * there, and a process whose bits nobody reads may end.
   */
  readonly reasons: Set<string>;
}

/** What is known of an attempt whose bits were cleared. */
interface Tracked {
  readonly guest: TrackedGuest;
  readonly watched: readonly WatchedWriters[];
  /** The first round took `watched` along. */
  isTold: boolean;
  /** Only where the final scan may be left out, and all of it could be told. */
  readonly atClear: AtClear | undefined;
  /** Begun with these. */
  readonly watches: readonly ImageWatch[];
  /** A round about everything began after the clear, and has ended. */
  isScanned: boolean;
}

export class SoftDirtyTracking implements Tracking {
  readonly #options: SoftDirtyTrackingOptions;
  readonly #proc: { readonly proc: string };
  readonly #writers: TrackableWriters;
  /** Moves on when an attempt ends: one that has failed may still be waiting for something, and must not act on it. */
  #attempt = 0;
  #tracked: Tracked | undefined;
  /** Why the scan is used instead; undefined while the bits are. */
  #reason: string | undefined;
  #failedConditions: readonly string[] = [];
  #clearMs = 0;
  #clearCount = 0;
  #conditionsMs = 0;
  readonly #fullScans: { readonly round: number; readonly reason: string }[] = [];

  constructor(options: SoftDirtyTrackingOptions) {
    this.#options = options;
    this.#proc = { proc: options.proc ?? '/proc' };
    this.#writers = new TrackableWriters(this.#proc);
  }

  get status(): TrackerStatus {
    const reason = this.#reason;
    return {
      requested: 'soft-dirty',
      type: reason === undefined ? 'soft-dirty' : 'scan',
      ...(reason === undefined ? {} : { reason }),
      'final-scan': this.finalScope === 'everything',
      'failed-conditions': [...this.#failedConditions],
      'clear-ms': this.#clearMs,
      clears: this.#clearCount,
      'conditions-ms': this.#conditionsMs,
      processes: new Set(pidsOf(this.#tracked?.watched ?? [])).size,
      'full-scans': [...this.#fullScans],
    };
  }

  /** The operator has asked for it, and so far nothing is in the way. */
  get mayOmitFinalScan(): boolean {
    return !this.#isFinalScanWanted && this.#reason === undefined;
  }

  /** Before anybody is asked: falls back at once where the bits cannot be used, so that the operator hears of it. */
  async prepare(images: readonly WatchedImage[]): Promise<void> {
    await this.#findWriters(images, this.#attempt);
  }

  /**
   * Clears the bits, before the first round of an attempt, which is about everything. Its writers are found again after
   * the clear: one that is new has bits since its mapping was made, one that is gone wrote before the scan.
   */
  async startAttempt(guest: TrackedGuest): Promise<void> {
    this.#endAttempt();
    const attempt = this.#attempt;
    try {
      const before = await this.#findWriters(guest.images, attempt);
      if (before === undefined) return;
      await this.#clear(guest, before, attempt);
      const watched = await this.#findWriters(guest.images, attempt);
      if (watched === undefined) return;
      const watches = this.#isFinalScanWanted ? [] : watchImages(guest.images);
      const atClear = await this.#judgeAtClear(guest, watched, watches, attempt);
      const tracked = { guest, watched, isTold: false, atClear, watches, isScanned: false };
      if (attempt === this.#attempt) this.#tracked = tracked;
      else closeAll(watches);
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error;
      if (attempt === this.#attempt) this.#fallBack(error.message);
    }
  }

  /** What a round that does not begin with the digest exchange is about. */
  get scope(): RoundScope {
    if (this.#tracked?.isScanned !== true) return 'everything';
    // Where the bits may have to do for the final round, its time is best known from rounds like it.
    return this.#isFinalScanWanted ? 'written' : 'written-or-unmapped';
  }

  /** What the final round would be about, as far as is known now. */
  get finalScope(): RoundScope {
    const { scope } = this;
    return scope === 'written-or-unmapped' && this.#failedConditions.length === 0 ? scope : 'everything';
  }

  /** What the first round takes along, once. */
  takeWatched(): readonly WatchedWriters[] | undefined {
    const tracked = this.#tracked;
    if (tracked === undefined || tracked.isTold) return undefined;
    tracked.isTold = true;
    return tracked.watched;
  }

  /** A round of this attempt has ended. `doubts`: why streams scanned everything although bits were asked for. */
  roundEnded(round: number, scope: RoundScope, doubts: readonly string[]): void {
    if (scope === 'everything' && this.#tracked !== undefined) this.#tracked.isScanned = true;
    for (const reason of doubts) {
      this.#options.logger.warn({ round, reason }, 'soft-dirty bits do not count: everything was scanned');
      this.#fullScans.push({ round, reason });
    }
  }

  /** Nobody waits for what is held here. */
  finalDecided(): void {}

  /**
   * Judges the conditions again. Between rounds that is for the prediction; after the pause it decides about the final
   * scan: what the result says holds until the guest runs again.
   */
  async checkConditions(): Promise<RoundScope> {
    const tracked = this.#tracked;
    if (tracked?.atClear === undefined) return this.finalScope;
    const { guest, watches } = tracked;
    const { facts, reasons } = tracked.atClear;
    const startMs = performance.now();
    await this.#judge(this.#attempt, async () => {
      const now = await readSoftDirtyFacts(guest.images, watches, this.#proc);
      for (const reason of await guest.reasons()) reasons.add(reason);
      const failed = [...findFailedConditions(facts, [...reasons]), ...findFailedSince(facts, now, [])];
      return [...new Set(failed)];
    });
    this.#conditionsMs = performance.now() - startMs;
    return this.finalScope;
  }

  /** The migration is over: others may track these processes. An attempt that is being started takes nothing any more. */
  release(): void {
    this.#attempt += 1;
    this.#closeWatches();
    this.#writers.release();
  }

  #endAttempt(): void {
    this.#attempt += 1;
    this.#closeWatches();
    this.#tracked = undefined;
  }

  /** What was decided stays to be seen in the status. */
  #closeWatches(): void {
    if (this.#tracked === undefined) return;
    closeAll(this.#tracked.watches);
    this.#tracked = { ...this.#tracked, watches: [] };
  }

  get #isFinalScanWanted(): boolean {
    return this.#options.requested['final-scan'];
  }

  async #judgeAtClear(
    guest: TrackedGuest,
    watched: readonly WatchedWriters[],
    watches: readonly ImageWatch[],
    attempt: number,
  ): Promise<AtClear | undefined> {
    if (this.#isFinalScanWanted) return undefined;
    let atClear: AtClear | undefined;
    await this.#judge(attempt, async () => {
      const facts = await readSoftDirtyFacts(guest.images, watches, this.#proc);
      const reasons = new Set([...(await guest.reasons()), ...findUnwatched(facts, watched)]);
      atClear = { facts, reasons };
      return findFailedConditions(facts, [...reasons]);
    });
    return atClear;
  }

  /** Conditions that cannot be told have failed. */
  async #judge(attempt: number, work: () => Promise<readonly string[]>): Promise<void> {
    let failed: readonly string[];
    try {
      failed = await work();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      failed = [`the conditions cannot be told: ${error.message}`];
    }
    if (attempt === this.#attempt) this.#failedConditions = failed;
  }

  /** The reason is noted where the bits cannot be used; undefined too where the attempt has ended. */
  async #findWriters(
    images: readonly WatchedImage[],
    attempt: number,
  ): Promise<readonly WatchedWriters[] | undefined> {
    const isCurrent = (): boolean => attempt === this.#attempt;
    if (!isCurrent()) return undefined;
    const found = await this.#writers.find(images, isCurrent);
    if (!isCurrent()) return undefined;
    if (typeof found === 'string') return this.#fallBack(found);
    if (found !== undefined) this.#reason = undefined;
    return found;
  }

  async #clear({ pulse }: TrackedGuest, watched: readonly WatchedWriters[], attempt: number): Promise<void> {
    const startMs = performance.now();
    // A stopped guest has no request to its disk under way: one that straddled the clear would write unseen.
    await pulse(async () => {
      // A pulse that comes late, when its attempt has failed, must not clear what the next one counts on.
      if (attempt === this.#attempt) clearSoftDirty(pidsOf(watched), this.#proc);
    });
    if (attempt !== this.#attempt) return;
    this.#clearMs += performance.now() - startMs;
    this.#clearCount += 1;
  }

  #fallBack(reason: string): undefined {
    if (this.#reason !== reason) {
      const detail = `the scan tracker is used instead of soft-dirty: ${reason}`;
      this.#options.logger.warn({ reason }, 'soft-dirty bits cannot be used; scanning');
      this.#options.warn({ name: 'soft-dirty-unavailable', detail });
    }
    this.#reason = reason;
    this.#endAttempt();
    return undefined;
  }
}

function watchImages(images: readonly WatchedImage[]): ImageWatch[] {
  return images.map((image) => new ImageWatch({ image, calls: system }));
}

function closeAll(watches: readonly ImageWatch[]): void {
  for (const watch of watches) watch.close();
}
