/**
 * What daemon and engine, and the engine's main thread and its streams, say to each other. Private to this
 * package: both ends are always of the same build.
 */
import type { TrackedRound, WatchedWriters } from '@pageferry/memory';
import type { ErrorReport } from '@pageferry/transport';
import type { Counters } from './counters.ts';
import type { ScanProbe } from './probe.ts';
import type { Difference } from './reconcile.ts';

/** How a migration's pages are sent; fixed for the engine's life. */
export interface EnginePlan {
  readonly host: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
  readonly sessionId: Uint8Array;
  readonly sessionKey: Uint8Array;
  readonly epoch: number;
  readonly streamCount: number;
  /** Secret of the digests, 192 bytes. */
  readonly secret: Uint8Array;
  /** Sizes of the blocks, in the order of hello. */
  readonly blockPageCounts: readonly number[];
  readonly eviction: 'age' | 'newest';
}

export interface RoundPlan extends TrackedRound {
  /**
   * In the first round of an attempt with the soft-dirty tracker, for each block: whose bits say from now on what was
   * written. They have just been cleared.
   */
  readonly watched: readonly WatchedWriters[] | undefined;
  /** Afterwards, measure what a scan of everything would take: the final one will be one, and this round was none. */
  readonly sampleScan: boolean;
  /** Deltas and cache in use; false in the bulk stage (the seed rule). */
  readonly useXbzrle: boolean;
  /** False in the final round: nothing is diffed any more. */
  readonly fillCache: boolean;
  /** Before anything is sent, the digest exchange: the tables are made to say what the destination has. */
  readonly reconcile: boolean;
  /** The cache of all streams together, bytes; takes effect at the beginning of the round. */
  readonly cacheBytes: number;
}

export type EngineCommand =
  /** `fileCount` open files, images first, have been sent over ENGINE_FILES_FD. */
  | {
      readonly type: 'start';
      readonly plan: EnginePlan;
      readonly bytesPerSecond: number;
      readonly fileCount: number;
    }
  | { readonly type: 'round'; readonly plan: RoundPlan }
  | { readonly type: 'bandwidth'; readonly bytesPerSecond: number };

export type EngineReport =
  /** Every stream was accepted; `probe` is what a scan took in stream 0. */
  | { readonly type: 'connected'; readonly probe: ScanProbe }
  | { readonly type: 'progress'; readonly counters: Counters; readonly rssAnonBytes: number }
  | {
      readonly type: 'round-sent';
      readonly round: number;
      /** One root a block, 16 bytes each. */
      readonly roots: readonly Uint8Array[];
      /** Where the digest exchange found something else at the destination than was sent. */
      readonly differences: readonly Difference[];
      /** Why streams scanned everything although bits were asked for, in words. */
      readonly doubts: readonly string[];
      readonly counters: Counters;
      readonly rssAnonBytes: number;
    }
  | ErrorReport;

/** What a stream's thread works by. */
export interface StreamPlan extends EnginePlan {
  /** The blocks' images, open. */
  readonly imageFds: readonly number[];
  readonly stream: number;
  readonly counters: SharedArrayBuffer;
  readonly limit: SharedArrayBuffer;
}

/** What a round came to in one stream. */
export interface StreamRound {
  /** This shard's root of every block. */
  readonly roots: readonly Uint8Array[];
  readonly differences: readonly Difference[];
  /** Why everything was scanned although bits were asked for, in words; empty if it was not. */
  readonly doubts: readonly string[];
}

export type StreamCommand =
  { readonly type: 'plan'; readonly plan: StreamPlan } | { readonly type: 'round'; readonly plan: RoundPlan };

export type StreamReport =
  | { readonly type: 'connected'; readonly probe: ScanProbe }
  | { readonly type: 'round-sent'; readonly sent: StreamRound }
  | ErrorReport;
