/**
 * What a stream counts, in memory that it shares with the engine's main thread: the stream writes, main reads,
 * nobody waits. Each is a running total of the migration unless its line says otherwise.
 */

import type { SharedCounters } from '@pageferry/transport';

/** The counters by name; docs/PROTOCOL.md, "Counters", defines each. Pages, unless the name says bytes or ms. */
export const COUNTER_NAMES = [
  'normal',
  'zero',
  'unchanged',
  'xbzrlePages',
  'xbzrleBytes',
  'cacheMiss',
  'overflow',
  /** Bytes of frames given to the socket, headers included. */
  'transferredBytes',
  /** Pages visited in this round: what coverage is made of. */
  'roundPages',
  /** Time spent reading and encoding in this round. */
  'roundScanMs',
  /** Time spent waiting for `max-bandwidth` in this round. */
  'roundLimitMs',
  /** Time of the digest exchange in this round. */
  'roundReconcileMs',
  /** Data pages that this round's sample of a scan compared, and the time that took: 0 where none was taken. */
  'sampledPages',
  'sampledMs',
  'cacheAllocatedBytes',
] as const;

export type CounterName = (typeof COUNTER_NAMES)[number];
export type Counters = Record<CounterName, number>;

export type StreamCounters = SharedCounters<CounterName>;

/** Sums over the streams; the times of a round are those of its slowest stream. */
export function sumCounters(streams: readonly StreamCounters[]): Counters {
  const sum = (name: CounterName): number => streams.reduce((total, stream) => total + stream.get(name), 0);
  const most = (name: CounterName): number => Math.max(0, ...streams.map((stream) => stream.get(name)));
  return {
    normal: sum('normal'),
    zero: sum('zero'),
    unchanged: sum('unchanged'),
    xbzrlePages: sum('xbzrlePages'),
    xbzrleBytes: sum('xbzrleBytes'),
    cacheMiss: sum('cacheMiss'),
    overflow: sum('overflow'),
    transferredBytes: sum('transferredBytes'),
    roundPages: sum('roundPages'),
    roundScanMs: most('roundScanMs'),
    roundLimitMs: most('roundLimitMs'),
    roundReconcileMs: most('roundReconcileMs'),
    sampledPages: sum('sampledPages'),
    sampledMs: sum('sampledMs'),
    cacheAllocatedBytes: sum('cacheAllocatedBytes'),
  };
}
