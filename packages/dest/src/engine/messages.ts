/**
 * What daemon and engine, and the engine's main thread and its streams, say to each other. Private to this
 * package: both ends are always of the same build.
 */
import type { ErrorReport } from '@pageferry/transport';
import type { Counters } from './counters.ts';

/** How a migration's pages are applied; fixed for the engine's life. */
export interface EnginePlan {
  readonly epoch: number;
  readonly streamCount: number;
  /** Secret of the digests, 192 bytes. */
  readonly secret: Uint8Array;
  /** Sizes of the blocks, in the order of hello. */
  readonly blockPageCounts: readonly number[];
  /** The files hold an older copy, or what an earlier attempt left: they are digested before anything comes. */
  readonly hasBase: boolean;
  /** What is written is read back and digested again (`destination-reread`). */
  readonly audits: boolean;
}

export type EngineCommand =
  /** `fileCount` open files, images first, have been sent over ENGINE_FILES_FD. */
  | { readonly type: 'start'; readonly plan: EnginePlan; readonly fileCount: number }
  /** A proven data connection; its handle travels with the message. */
  | { readonly type: 'connection'; readonly stream: number }
  /** Finish the audit: the pause has come, and nothing more is written. */
  | { readonly type: 'reread' };

export type EngineReport =
  | { readonly type: 'progress'; readonly counters: Counters; readonly rssAnonBytes: number }
  | {
      readonly type: 'round-applied';
      readonly round: number;
      /** One root a block, 16 bytes each. */
      readonly roots: readonly Uint8Array[];
      readonly counters: Counters;
      readonly rssAnonBytes: number;
    }
  /** `differing`: extents that read back differently than they were written, since the last round's roots. */
  | { readonly type: 'reread-done'; readonly differing: readonly ExtentName[] }
  | ErrorReport;

/** An extent of 512 pages, by block and index. */
export interface ExtentName {
  readonly block: number;
  readonly extent: number;
}

/** What a stream's thread works by. */
export interface StreamPlan extends EnginePlan {
  /** The blocks' images, open. */
  readonly imageFds: readonly number[];
  readonly stream: number;
  readonly counters: SharedArrayBuffer;
}

export type StreamCommand =
  | { readonly type: 'plan'; readonly plan: StreamPlan }
  | { readonly type: 'connection'; readonly fd: number }
  | { readonly type: 'reread' };

export type StreamReport =
  | { readonly type: 'round-applied'; readonly round: number; readonly roots: readonly Uint8Array[] }
  | { readonly type: 'reread-done'; readonly differing: readonly ExtentName[] }
  | ErrorReport;
