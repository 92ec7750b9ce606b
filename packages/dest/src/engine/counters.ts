/**
 * What a stream counts, in memory that it shares with the engine's main thread: the stream writes, main reads,
 * nobody waits. Running totals of the attempt; docs/PROTOCOL.md, "Counters", defines each.
 */

import type { SharedCounters } from '@pageferry/transport';

/** The counters by name: pages, bytes of frames with their headers, or milliseconds. */
export const COUNTER_NAMES = [
  'normal',
  'zero',
  'xbzrlePages',
  'xbzrleBytes',
  'transferredBytes',
  /** Time to digest a file that holds an older copy. */
  'digestMs',
  /** Time of the audit so far, in all streams together. */
  'auditMs',
  /** Extents that read back differently than they were written. */
  'auditDiffering',
] as const;

export type CounterName = (typeof COUNTER_NAMES)[number];
export type Counters = Readonly<Record<CounterName, number>>;

export type StreamCounters = SharedCounters<CounterName>;

/** Before anything has come. */
export const NO_COUNTERS: Counters = {
  normal: 0,
  zero: 0,
  xbzrlePages: 0,
  xbzrleBytes: 0,
  transferredBytes: 0,
  digestMs: 0,
  auditMs: 0,
  auditDiffering: 0,
};

/** Sums over the streams. */
export function sumCounters(streams: readonly StreamCounters[]): Counters {
  const sum = (name: CounterName): number => streams.reduce((total, stream) => total + stream.get(name), 0);
  return {
    normal: sum('normal'),
    zero: sum('zero'),
    xbzrlePages: sum('xbzrlePages'),
    xbzrleBytes: sum('xbzrleBytes'),
    transferredBytes: sum('transferredBytes'),
    digestMs: sum('digestMs'),
    auditMs: sum('auditMs'),
    auditDiffering: sum('auditDiffering'),
  };
}
