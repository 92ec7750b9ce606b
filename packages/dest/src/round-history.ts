/**
 * What each finished round brought, as GET /status shows it. Counters are running totals of the engine; a round's share
 * is the difference to the round before. The source alone knows what missed its cache, so those figures are 0 here.
 */
import type { RoundStatus } from '@pageferry/protocol';
import { NO_COUNTERS, type Counters } from './engine/counters.ts';
import type { RoundApplied } from './page-engine.ts';

export class RoundHistory {
  readonly #rounds: RoundStatus[] = [];
  #totals = NO_COUNTERS;
  #endedMs: number;

  /** `nowMs`: when the first round can begin. */
  constructor(nowMs: number) {
    this.#endedMs = nowMs;
  }

  get rounds(): readonly RoundStatus[] {
    return this.#rounds;
  }

  /** The engine has applied a whole round; its time is counted from the end of the round before. */
  applied({ round, counters, rssAnonBytes }: RoundApplied, nowMs: number): void {
    const since = (name: keyof Counters): number => counters[name] - this.#totals[name];
    const pageCount = since('normal') + since('zero') + since('xbzrlePages');
    const ms = nowMs - this.#endedMs;
    this.#rounds.push({
      round,
      final: false,
      candidates: pageCount,
      duplicate: since('zero'),
      normal: since('normal'),
      'xbzrle-pages': since('xbzrlePages'),
      'xbzrle-bytes': since('xbzrleBytes'),
      'cache-miss': 0,
      overflow: 0,
      bytes: since('transferredBytes'),
      ms,
      'dirty-pages-rate': 0,
      'rss-anon': rssAnonBytes,
    });
    this.#totals = counters;
    this.#endedMs = nowMs;
  }

  /** The source offered the guest with this round: it was the one after the pause. */
  markFinal(round: number): void {
    const index = this.#rounds.findIndex((candidate) => candidate.round === round);
    const found = this.#rounds[index];
    if (found !== undefined) this.#rounds[index] = { ...found, final: true };
  }
}
