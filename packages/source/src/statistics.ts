/**
 * What a migration has measured, and the figures that follow from it. Counters come from the engine, times from
 * the phases; docs/PROTOCOL.md, "Counters", defines each figure. Nothing here decides anything.
 */
import type { RoundScope } from '@pageferry/memory';
import {
  PAGE_SIZE_BYTES,
  type RamStatus,
  type RoundStatus,
  type TrackerName,
  type XbzrleCacheStatus,
} from '@pageferry/protocol';
import type { Counters } from './engine/counters.ts';

/** A round that has ended. */
export interface RoundFacts {
  readonly round: number;
  readonly isFinal: boolean;
  /** What it was about. */
  readonly scope: RoundScope;
  /** Running totals when it began and when it ended. */
  readonly before: Counters;
  readonly after: Counters;
  /** From the order to the destination's answer. */
  readonly roundMs: number;
  readonly rssAnonBytes: number;
}

export const NO_COUNTERS: Counters = {
  normal: 0,
  zero: 0,
  unchanged: 0,
  xbzrlePages: 0,
  xbzrleBytes: 0,
  cacheMiss: 0,
  overflow: 0,
  transferredBytes: 0,
  roundPages: 0,
  roundScanMs: 0,
  roundLimitMs: 0,
  roundReconcileMs: 0,
  sampledPages: 0,
  sampledMs: 0,
  cacheAllocatedBytes: 0,
};

/** What found a round's pages. */
const TRACKERS: Readonly<Record<RoundScope, TrackerName>> = {
  everything: 'scan',
  written: 'soft-dirty',
  'written-or-unmapped': 'soft-dirty',
  nothing: 'lease',
};

/** Saving and loading together, before anything was measured. */
const DEVICE_STATE_FIRST_MS = 30;

export class Statistics {
  /** Memory of all blocks; known after setup. */
  totalBytes: number;
  readonly rounds: RoundFacts[] = [];
  /** Of the attempts before this one; an engine counts from zero. */
  #earlier: Counters = NO_COUNTERS;
  #counters: Counters = NO_COUNTERS;
  rssAnonBytes = 0;
  /** Of the last attempt that came so far. */
  deviceStateMs = DEVICE_STATE_FIRST_MS;
  #coverage = 0;

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes;
  }

  /** Running totals of the migration. */
  get counters(): Counters {
    return this.#counters;
  }

  /** What the current attempt's engine counts. */
  set engineCounters(counters: Counters) {
    this.#counters = addTotals(this.#earlier, counters);
  }

  /** Another attempt begins, with another engine; a round that was the last one is not the last one any more. */
  startAttempt(): void {
    this.#earlier = this.#counters;
    this.rounds.forEach((facts, index) => {
      if (facts.isFinal) this.rounds[index] = { ...facts, isFinal: false };
    });
  }

  get lastRound(): RoundFacts | undefined {
    return this.rounds.at(-1);
  }

  /** Share of memory that was sent at least once, 0 to 1; never goes back. */
  get coverage(): number {
    if (this.rounds.length === 0) this.#coverage = Math.max(this.#coverage, this.#roundShare);
    else this.#coverage = 1;
    return this.#coverage;
  }

  /** Pages that a round sent: what had changed. */
  static changedPages({ before, after }: Pick<RoundFacts, 'before' | 'after'>): number {
    return pagesOf(after) - pagesOf(before);
  }

  static wireBytes({ before, after }: RoundFacts): number {
    return after.transferredBytes - before.transferredBytes;
  }

  /**
   * What a scan of everything takes, milliseconds: the shortest so far of those after the bulk stage, which has the
   * sending in it. Where later rounds were about less, the best sample that they took, scaled to `dataPages` of a stream.
   */
  scanMs(dataPages: number): number {
    const scans = this.rounds.filter(({ scope }) => scope === 'everything');
    const later = scans.filter(({ round }) => round > 0).map(({ after }) => after.roundScanMs);
    if (later.length > 0) return Math.min(...later);
    const sampled = this.rounds
      .map(({ after }) => after)
      .filter(({ sampledPages }) => sampledPages > 0)
      .map(({ sampledMs, sampledPages }) => (sampledMs / sampledPages) * dataPages);
    if (sampled.length > 0) return Math.min(...sampled);
    return scans.length === 0 ? 0 : Math.min(...scans.map(({ after }) => after.roundScanMs));
  }

  /** What reading the bits took in the last round that did, and comparing what they named; bits only become more. */
  get bitsMs(): number {
    return this.rounds.findLast(({ scope }) => scope !== 'everything')?.after.roundScanMs ?? 0;
  }

  /**
   * Best throughput of a round that had enough to send to be a measurement, bytes/s; 0 before anything was sent. Where no
   * round had as much (an image of holes, an older copy at the destination), the best of all: a round is mostly its scan
   * then, so that is less than the line carries, and the pause is predicted too long rather than too short.
   */
  get bandwidth(): number {
    const enough = 1024 * 1024;
    const measured = this.rounds.filter((facts) => Statistics.wireBytes(facts) >= enough);
    const rates = (measured.length > 0 ? measured : this.rounds).map(
      (facts) => (Statistics.wireBytes(facts) / facts.roundMs) * 1000,
    );
    return Math.max(0, ...rates);
  }

  /** Pages a second that the guest wrote to, as the last round found them. */
  get dirtyPagesRate(): number {
    const last = this.lastRound;
    const previous = this.rounds.at(-2);
    if (last === undefined || previous === undefined || last.isFinal) return 0;
    return (Statistics.changedPages(last) / previous.roundMs) * 1000;
  }

  /** Memory not known to be the same at the destination, bytes. */
  remainingBytes(isOver: boolean): number {
    if (isOver) return 0;
    const last = this.lastRound;
    if (last === undefined) return Math.round(this.totalBytes * (1 - this.coverage));
    return last.isFinal ? 0 : Statistics.changedPages(last) * PAGE_SIZE_BYTES;
  }

  /** `activeMs`: time since setup. `isOver`: nothing remains. */
  ram(activeMs: number, isOver: boolean): RamStatus {
    const { counters } = this;
    const final = this.rounds.find(({ isFinal }) => isFinal);
    const precopyBytes = final === undefined ? counters.transferredBytes : final.before.transferredBytes;
    const seconds = activeMs / 1000;
    const perSecond = (value: number): number => (seconds > 0 ? value / seconds : 0);
    return {
      transferred: counters.transferredBytes,
      remaining: this.remainingBytes(isOver),
      total: this.totalBytes,
      duplicate: counters.zero,
      normal: counters.normal,
      'normal-bytes': counters.normal * PAGE_SIZE_BYTES,
      'dirty-pages-rate': this.dirtyPagesRate,
      mbps: perSecond(counters.transferredBytes * 8) / 1e6,
      'dirty-sync-count': this.rounds.length,
      'page-size': PAGE_SIZE_BYTES,
      'pages-per-second': perSecond(pagesOf(counters)),
      'precopy-bytes': precopyBytes,
      'downtime-bytes': counters.transferredBytes - precopyBytes,
    };
  }

  /** Totals are running; rates are of the last finished round. */
  xbzrleCache(cacheSizeBytes: number): XbzrleCacheStatus {
    const { counters } = this;
    const { before, after } = this.lastRound ?? { before: NO_COUNTERS, after: NO_COUNTERS };
    const changedCount = pagesOf(after) - after.zero - (pagesOf(before) - before.zero);
    const deltaBytes = after.xbzrleBytes - before.xbzrleBytes;
    const deltaCount = after.xbzrlePages - before.xbzrlePages;
    return {
      'cache-size': cacheSizeBytes,
      bytes: counters.xbzrleBytes,
      pages: counters.xbzrlePages,
      'cache-miss': counters.cacheMiss,
      'cache-miss-rate': changedCount > 0 ? (after.cacheMiss - before.cacheMiss) / changedCount : 0,
      'encoding-rate': deltaBytes > 0 ? (deltaCount * PAGE_SIZE_BYTES) / deltaBytes : 0,
      overflow: counters.overflow,
    };
  }

  roundStatus(facts: RoundFacts): RoundStatus {
    const { before, after } = facts;
    const index = this.rounds.indexOf(facts);
    const previous = this.rounds[index - 1];
    return {
      round: facts.round,
      final: facts.isFinal,
      candidates: after.roundPages,
      tracker: TRACKERS[facts.scope],
      duplicate: after.zero - before.zero,
      normal: after.normal - before.normal,
      'xbzrle-pages': after.xbzrlePages - before.xbzrlePages,
      'xbzrle-bytes': after.xbzrleBytes - before.xbzrleBytes,
      'cache-miss': after.cacheMiss - before.cacheMiss,
      overflow: after.overflow - before.overflow,
      bytes: Statistics.wireBytes(facts),
      ms: facts.roundMs,
      'dirty-pages-rate':
        previous === undefined ? 0 : (Statistics.changedPages(facts) / previous.roundMs) * 1000,
      'rss-anon': facts.rssAnonBytes,
    };
  }

  get #roundShare(): number {
    return this.totalBytes === 0
      ? 0
      : Math.min(1, (this.counters.roundPages * PAGE_SIZE_BYTES) / this.totalBytes);
  }
}

/** Totals add up over attempts; what is of a round, or of this moment, is the current engine's. */
function addTotals(earlier: Counters, now: Counters): Counters {
  return {
    ...now,
    normal: earlier.normal + now.normal,
    zero: earlier.zero + now.zero,
    unchanged: earlier.unchanged + now.unchanged,
    xbzrlePages: earlier.xbzrlePages + now.xbzrlePages,
    xbzrleBytes: earlier.xbzrleBytes + now.xbzrleBytes,
    cacheMiss: earlier.cacheMiss + now.cacheMiss,
    overflow: earlier.overflow + now.overflow,
    transferredBytes: earlier.transferredBytes + now.transferredBytes,
  };
}

function pagesOf({ normal, zero, xbzrlePages }: Counters): number {
  return normal + zero + xbzrlePages;
}
