/**
 * One stream of the destination's engine, in its own thread: from the socket to its shard of every image.
 *
 * Frames are applied in the read callback, one at a time, into memory of the kernel: nothing is queued, so a
 * slow disk holds back the sender through TCP. After a round's end the roots say what was applied.
 */
import {
  checkEpoch,
  DATA_LIMITS_AT_DESTINATION,
  decodeDigestRequest,
  decodePagesHeader,
  decodeStreamRoundEnd,
  DIGEST_EXCHANGE,
  encodeDataAccept,
  encodeDigestAnswer,
  encodeFrame,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_MAX_BYTES,
  FRAME_TYPE,
  PageRecordTable,
  PAGES_HEADER_BYTES,
  checkExpected,
  type DigestRange,
  type FrameHeader,
} from '@pageferry/protocol/wire';
import { DigestTable, ImageReader, ImageWriter, Shard } from '@pageferry/memory';
import {
  DATA_STALL_TIMEOUT_MS,
  errorReport,
  FrameSocket,
  SharedCounters,
  system,
} from '@pageferry/transport';
import { DestinationKernel, DIGEST_BYTES, EXTENT_PAGES, PAGE_SIZE, zeroDigest } from '@pageferry/xbzrle';
import { FrameApplier } from './apply.ts';
import { Audit } from './audit.ts';
import { BlockWriter } from './block-writer.ts';
import { COUNTER_NAMES, type StreamCounters } from './counters.ts';
import { FileDigests } from './file-digests.ts';
import type { ExtentName, StreamPlan, StreamReport } from './messages.ts';

/** A stream that nothing came on for this long has time for the audit, in slices of at most the second. */
const IDLE_MS = 5;
const AUDIT_SLICE_MS = 2;

interface BlockShard {
  readonly shard: Shard;
  readonly table: DigestTable;
  readonly file: FileDigests;
  readonly writer: BlockWriter;
}

export class Stream {
  readonly #plan: StreamPlan;
  readonly #report: (message: StreamReport) => void;
  readonly #counters: StreamCounters;
  readonly #kernel: DestinationKernel;
  readonly #applier: FrameApplier;
  readonly #records = new PageRecordTable();
  readonly #blocks: readonly BlockShard[];
  readonly #audit: Audit;
  /** What the audit found since the roots of the last round. */
  #differing: ExtentName[] = [];
  #idle: NodeJS.Timeout | undefined;
  #socket: FrameSocket | undefined;
  #frameCount = 0;
  /** Of the frames that come; undefined before the first of a round. */
  #round: number | undefined;
  /** The next round is this one or a later one. */
  #firstRound = 0;

  constructor(plan: StreamPlan, report: (message: StreamReport) => void) {
    this.#plan = plan;
    this.#report = report;
    this.#counters = new SharedCounters(COUNTER_NAMES, plan.counters);
    this.#kernel = new DestinationKernel({ secret: plan.secret });
    this.#applier = new FrameApplier(this.#kernel, this.#counters);
    this.#blocks = plan.blockPageCounts.map((pageCount, index) => this.#openBlock(index, pageCount));
    this.#audit = new Audit(this.#blocks.map(({ file }) => file));
  }

  /** Takes over a proven connection and accepts it. */
  adopt(fd: number): void {
    const { epoch, stream } = this.#plan;
    this.#socket = FrameSocket.adopt(fd, {
      limits: () => DATA_LIMITS_AT_DESTINATION,
      place: () => this.#kernel.frame,
      received: (header, payload) => this.#received(header, payload),
      ended: (error) => this.#report(errorReport(error)),
    });
    this.#socket.endWhenStalled(DATA_STALL_TIMEOUT_MS);
    this.#socket.send(
      encodeFrame({ type: FRAME_TYPE.dataAccept, epoch, aux: 0, payload: encodeDataAccept(stream) }),
    );
    if (this.#plan.hasBase) this.#loadFiles();
  }

  /** Reads back what was written and not read back yet, and reports what differs from the last round's roots. */
  reread(): void {
    clearTimeout(this.#idle);
    for (const { file } of this.#blocks) file.checkSize();
    this.#runAudit(Infinity);
    this.#report({ type: 'reread-done', differing: this.#differing });
  }

  #received(header: FrameHeader, payload: Uint8Array): void {
    checkEpoch(header, this.#plan.epoch);
    this.#counters.add('transferredBytes', FRAME_HEADER_BYTES + payload.length);
    switch (header.type) {
      case FRAME_TYPE.pages:
        this.#checkRound(header.aux);
        this.#applyPages(payload);
        break;
      case FRAME_TYPE.streamRoundEnd:
        this.#checkRound(header.aux);
        this.#endRound(header.aux, payload);
        break;
      case FRAME_TYPE.extentRoots:
      case FRAME_TYPE.pageDigests:
        this.#answer(header.type, header.aux, payload);
        break;
      default:
        throw new Error(`frame type ${header.type} on data stream ${this.#plan.stream}`);
    }
    this.#auditIn(IDLE_MS);
  }

  /** Rounds ascend, and the frames of one have its number. */
  #checkRound(round: number): void {
    this.#round ??= round;
    checkExpected(round, this.#round, 'round of the frame');
    if (round < this.#firstRound) throw new Error(`a frame of round ${round} after the end of that round`);
  }

  #applyPages(payload: Uint8Array): void {
    const facts = { stream: this.#plan.stream, blockCount: this.#blocks.length };
    const block = this.#blocks[decodePagesHeader(payload, facts).block];
    if (block === undefined) return;
    this.#records.decode(payload, PAGES_HEADER_BYTES, block.shard.localPageLimit);
    this.#applier.apply(block.writer, this.#records);
    this.#frameCount += 1;
  }

  #endRound(round: number, payload: Uint8Array): void {
    const { frameCount } = decodeStreamRoundEnd(payload);
    if (frameCount !== this.#frameCount) {
      throw new Error(`round ${round} has ${frameCount} frames, ${this.#frameCount} came`);
    }
    this.#frameCount = 0;
    this.#firstRound = round + 1;
    this.#round = undefined;
    this.#differing = [];
    this.#report({ type: 'round-applied', round, roots: this.#blocks.map((block) => block.writer.root) });
  }

  /** One question of the digest exchange. What came before it on this connection is applied. */
  #answer(
    type: typeof FRAME_TYPE.extentRoots | typeof FRAME_TYPE.pageDigests,
    aux: number,
    payload: Uint8Array,
  ): void {
    checkExpected(aux, DIGEST_EXCHANGE.request, 'aux of a digest request');
    const { stream, epoch } = this.#plan;
    const isRoots = type === FRAME_TYPE.extentRoots;
    const pagesOf = (block: number): number => this.#blocks[block]?.shard.localPageLimit ?? 0;
    const range = decodeDigestRequest(payload, {
      stream,
      blockCount: this.#blocks.length,
      limitOf: (block) => (isRoots ? Math.ceil(pagesOf(block) / EXTENT_PAGES) : pagesOf(block)),
    });
    const block = this.#blocks[range.block];
    if (block === undefined) return;
    // The answer before may still be with the socket; a peer that asks on without reading is not our source.
    if ((this.#socket?.queuedBytes ?? 0) > FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX_BYTES)
      throw new Error('digest requests while answers are not read');
    const digests = new Uint8Array(range.count * DIGEST_BYTES);
    if (isRoots) copyRoots(block, range, digests);
    else copyDigests(block, range, digests);
    const answer = encodeDigestAnswer({ ...range, digests });
    this.#socket?.send(encodeFrame({ type, epoch, aux: DIGEST_EXCHANGE.answer, payload: answer }));
  }

  /** What the files hold already counts as if it had been applied. */
  #loadFiles(): void {
    const startMs = performance.now();
    for (const { file } of this.#blocks) file.load();
    this.#counters.set('digestMs', performance.now() - startMs);
  }

  /** The audit goes on once no frame has come for a while; each frame puts it off again. */
  #auditIn(milliseconds: number): void {
    clearTimeout(this.#idle);
    if (!this.#plan.audits || this.#audit.isDone) return;
    this.#idle = setTimeout(() => {
      this.#runAudit(performance.now() + AUDIT_SLICE_MS);
      this.#auditIn(0);
    }, milliseconds);
  }

  #runAudit(untilMs: number): void {
    const startMs = performance.now();
    const differing = this.#audit.run(untilMs);
    this.#differing.push(...differing);
    this.#counters.add('auditDiffering', differing.length);
    this.#counters.add('auditMs', performance.now() - startMs);
  }

  #openBlock(index: number, pageCount: number): BlockShard {
    const { stream, streamCount, secret, imageFds, audits } = this.#plan;
    const image = {
      fd: imageFds[index] ?? -1,
      path: `block ${index}`,
      sizeBytes: pageCount * PAGE_SIZE,
    };
    const shard = new Shard({ pageCount, stream, streamCount });
    const table = new DigestTable({ pageCount, zeroDigest: zeroDigest(secret) });
    const writer = new ImageWriter({ image, calls: system });
    const reader = new ImageReader({ image, calls: system });
    const kernel = this.#kernel;
    const file = new FileDigests({ shard, reader, table, kernel });
    const wrote = (extent: number): void => {
      if (audits) this.#audit.wrote(index, extent);
    };
    return { shard, table, file, writer: new BlockWriter({ index, shard, writer, table, kernel, wrote }) };
  }
}

/** Roots of the stream's extents from `first` on. */
function copyRoots({ shard, table }: BlockShard, { first, count }: DigestRange, target: Uint8Array): void {
  for (let index = 0; index < count; index += 1) {
    const page = shard.toBlockPage((first + index) * EXTENT_PAGES);
    table.root(Math.floor(page / EXTENT_PAGES), target.subarray(index * DIGEST_BYTES));
  }
}

/** Digests of the stream's pages from `first` on. */
function copyDigests({ shard, table }: BlockShard, { first, count }: DigestRange, target: Uint8Array): void {
  let at = 0;
  for (const { firstPage, pageCount } of shard.pieces(first, count)) {
    table.load(firstPage, pageCount, target.subarray(at));
    at += pageCount * DIGEST_BYTES;
  }
}
