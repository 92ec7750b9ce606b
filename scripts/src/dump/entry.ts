/** What a dump says of a piece of a stream, fit for JSON as it is. One entry a preamble or frame, in their order. */
import type { ConnectionKind } from '@pageferry/protocol';

export interface PreambleEntry {
  readonly offset: number;
  readonly type: 'preamble';
  readonly kind: ConnectionKind;
  /** Hexadecimal digits, here and wherever bytes are shown. */
  readonly sessionId: string;
}

/** A frame: `offset` is that of its header in the stream, `length` the bytes of its payload. */
export type FrameEntry = FrameFacts & FrameContent;

export interface FrameFacts {
  readonly offset: number;
  readonly epoch: number;
  readonly aux: number;
  readonly length: number;
}

export type FrameContent =
  | { readonly type: 'control'; readonly message: Readonly<Record<string, unknown>> }
  | {
      readonly type: 'pages';
      readonly block: number;
      readonly stream: number;
      readonly kinds: readonly RecordSummary[];
      /** Only where they were asked for. */
      readonly records?: readonly RecordEntry[];
    }
  | {
      readonly type: 'data-hello';
      readonly stream: number;
      readonly streamCount: number;
      readonly proof: string;
    }
  | { readonly type: 'data-accept'; readonly stream: number }
  | { readonly type: 'stream-round-end'; readonly stream: number; readonly frameCount: number }
  | {
      readonly type: 'device-state';
      readonly pieceOffset: number;
      readonly pieceBytes: number;
      readonly totalBytes: number;
    }
  | DigestContent;

export interface DigestContent {
  readonly type: 'extent-roots' | 'page-digests';
  readonly exchange: 'request' | 'answer';
  readonly block: number;
  readonly stream: number;
  readonly first: number;
  readonly count: number;
  /** Of an answer: entries that say that the page or extent is not known. */
  readonly unknownCount?: number;
}

export type RecordKindName = 'zero' | 'normal' | 'xbzrle';

/** All records of a kind in one frame. */
export interface RecordSummary {
  readonly kind: RecordKindName;
  readonly records: number;
  readonly pages: number;
  readonly payloadBytes: number;
}

/** One run of pages; `first` is the stream's own index. */
export interface RecordEntry {
  readonly kind: RecordKindName;
  readonly first: number;
  readonly count: number;
  readonly payloadBytes: number;
}

export type Entry = PreambleEntry | FrameEntry;
