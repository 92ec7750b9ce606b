/**
 * How the pages that the guest writes are found, over one migration: by scanning, by the kernel's soft-dirty bits, or, where
 * there is no guest, not at all as long as leases say that nobody can write (leases.ts).
 *
 * Invariant: a round may be about less than everything only after a round of this attempt that was about everything and
 * began after the clear (memory/soft-dirty-tracker.ts), or under leases that are still held. With bits the final round is
 * about less only if `final-scan` is off and every condition was proven: at the clear, and again after the pause
 * (memory/soft-dirty-conditions.ts).
 * What keeps the bits from being used is no failure: the migration falls back to the scan and says why.
 */
import { performance } from 'node:perf_hooks';
import {
  clearSoftDirty,
  fileSystemTypeOf,
  findAccessProblem,
  findFailedConditions,
  findFailedSince,
  findSoftDirtyProblem,
  findUnwatched,
  findWriters,
  HUGETLBFS_MAGIC,
  ImageWatch,
  MemoryError,
  ProcessLocks,
  readSoftDirtyFacts,
  type RoundScope,
  type SoftDirtyFacts,
  type WatchedImage,
  type WatchedWriters,
} from '@pageferry/memory';
import type { Tracker, TrackerStatus, Warning } from '@pageferry/protocol';
import { system } from '@pageferry/transport';
import type { Logger } from 'pino';
import { Leases } from './leases.ts';

export interface TrackingOptions {
  readonly requested: Tracker;
  /** There is no guest that has the images open. */
  readonly isGuestless: boolean;
  readonly logger: Logger;
  readonly warn: (warning: Warning) => void;
  /** Where procfs is. */
  readonly proc?: string;
}

/** What is tracked. */
export interface TrackedGuest {
  readonly images: readonly WatchedImage[];
  /** Why the guest itself may write to its memory unseen, in words. */
  readonly reasons: () => Promise<readonly string[]>;
  /** Runs `work` while the guest is stopped. */
  readonly pulse: (work: () => Promise<void>) => Promise<void>;
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

export class Tracking {
  readonly #options: TrackingOptions;
  readonly #proc: { readonly proc: string };
  readonly #locks: ProcessLocks;
  /** Where nobody is expected to write, and everything would be scanned. */
  readonly #leases: Leases | undefined;
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

  constructor(options: TrackingOptions) {
    this.#options = options;
    this.#proc = { proc: options.proc ?? '/proc' };
    this.#locks = new ProcessLocks(system, this.#proc);
    const { requested, isGuestless, logger } = options;
    this.#leases = isGuestless && requested.type === 'scan' ? new Leases(logger) : undefined;
  }

  get status(): TrackerStatus {
    const { requested } = this.#options;
    const reason = this.#reason;
    if (requested.type === 'scan') return scanStatus(this.#leases);
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
    this.#leases?.take(guest.images);
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
    if (this.#leases?.areProof === true) return 'nothing';
    if (this.#tracked?.isScanned !== true) return 'everything';
    // Where the bits may have to do for the final round, its time is best known from rounds like it.
    return this.#isFinalScanWanted ? 'written' : 'written-or-unmapped';
  }

  /** What the final round would be about, as far as is known now. */
  get finalScope(): RoundScope {
    const { scope } = this;
    if (scope === 'nothing') return scope;
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
    if (scope === 'everything') {
      this.#leases?.scanned();
      if (this.#tracked !== undefined) this.#tracked.isScanned = true;
    }
    for (const reason of doubts) {
      this.#options.logger.warn({ round, reason }, 'soft-dirty bits do not count: everything was scanned');
      this.#fullScans.push({ round, reason });
    }
  }

  /** What the final round is about is decided, and leases have said what they can: whoever opens an image now does not wait. */
  finalDecided(): void {
    this.#leases?.release();
  }

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
    this.#locks.release();
    this.#leases?.release();
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
    const { requested } = this.#options;
    return requested.type === 'scan' || requested['final-scan'];
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

  /**
   * Who maps the images and may be tracked by us, locked; undefined, and the reason is noted, where the bits cannot be
   * used; undefined too where the attempt has ended.
   */
  async #findWriters(
    images: readonly WatchedImage[],
    attempt: number,
  ): Promise<readonly WatchedWriters[] | undefined> {
    if (attempt !== this.#attempt) return undefined;
    if (this.#options.requested.type === 'scan') return undefined;
    const problem = findSoftDirtyProblem(this.#proc);
    if (problem !== undefined) return this.#fallBack(problem);
    const onHugetlbfs = images.find((image) => fileSystemTypeOf(image) === HUGETLBFS_MAGIC);
    if (onHugetlbfs !== undefined)
      return this.#fallBack(`${onHugetlbfs.path} is on hugetlbfs, whose pages have no such bits`);
    const { images: writers } = await findWriters(images, this.#proc);
    if (attempt !== this.#attempt) return undefined;
    const watched = images.map(({ path, device, inode }, index) => ({
      file: { path, device, inode },
      writers: writers[index] ?? [],
    }));
    const unmapped = watched.find((each) => each.writers.length === 0);
    if (unmapped !== undefined)
      return this.#fallBack(`no process maps ${unmapped.file.path} shared and writable`);
    const pids = pidsOf(watched);
    for (const pid of pids) {
      const refused = findAccessProblem(pid, this.#proc);
      if (refused !== undefined) return this.#fallBack(refused);
    }
    const taken = this.#locks.take(pids);
    if (taken !== undefined) return this.#fallBack(`another migration tracks process ${taken}`);
    this.#reason = undefined;
    return watched;
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

function scanStatus(leases: Leases | undefined): TrackerStatus {
  const requested = 'scan';
  if (leases === undefined) return { requested, type: 'scan', 'final-scan': true };
  const { problem, areProof } = leases.state;
  if (problem !== undefined)
    return { requested, type: 'scan', 'final-scan': true, 'failed-conditions': [problem] };
  const reason = 'leases on the images tell if anybody opens them for writing';
  return { requested, type: 'lease', reason, 'final-scan': !areProof, 'failed-conditions': [] };
}

function pidsOf(watched: readonly WatchedWriters[]): number[] {
  return watched.flatMap(({ writers }) => writers.map(({ pid }) => pid));
}

function watchImages(images: readonly WatchedImage[]): ImageWatch[] {
  return images.map((image) => new ImageWatch({ image, calls: system }));
}

function closeAll(watches: readonly ImageWatch[]): void {
  for (const watch of watches) watch.close();
}
