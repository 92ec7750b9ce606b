/**
 * One stream of the destination's engine, in its own thread: from the socket to its shard of every image.
 *
 * Frames are applied in the read callback, one at a time, into memory of the kernel: nothing is queued, so a
 * slow disk holds back the sender through TCP. After a round's end the roots say what was applied.
 */
import {
  checkEpoch,
  DATA_LIMITS_AT_DESTINATION,
  decodePagesHeader,
  decodeStreamRoundEnd,
  encodeDataAccept,
  encodeFrame,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  PageRecordTable,
  PAGES_HEADER_BYTES,
  type FrameHeader,
} from '@pageferry/protocol/wire';
import { DigestTable, ImageReader, ImageWriter, Shard } from '@pageferry/memory';
import { errorReport, FrameSocket, SharedCounters, system } from '@pageferry/transport';
import { DestinationKernel, PAGE_SIZE, zeroDigest } from '@pageferry/xbzrle';
import { FrameApplier } from './apply.ts';
import { BlockWriter } from './block-writer.ts';
import { COUNTER_NAMES, type StreamCounters } from './counters.ts';
import type { ExtentName, StreamPlan, StreamReport } from './messages.ts';
import { differingExtents } from './reread.ts';

interface BlockShard {
  readonly shard: Shard;
  readonly table: DigestTable;
  readonly reader: ImageReader;
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
  #frameCount = 0;

  constructor(plan: StreamPlan, report: (message: StreamReport) => void) {
    this.#plan = plan;
    this.#report = report;
    this.#counters = new SharedCounters(COUNTER_NAMES, plan.counters);
    this.#kernel = new DestinationKernel({ secret: plan.secret });
    this.#applier = new FrameApplier(this.#kernel, this.#counters);
    this.#blocks = plan.blockPageCounts.map((pageCount, index) => this.#openBlock(index, pageCount));
  }

  /** Takes over a proven connection and accepts it. */
  adopt(fd: number): void {
    const { epoch, stream } = this.#plan;
    const socket = FrameSocket.adopt(fd, {
      limits: () => DATA_LIMITS_AT_DESTINATION,
      place: () => this.#kernel.frame,
      received: (header, payload) => this.#received(header, payload),
      ended: (error) => this.#report(errorReport(error)),
    });
    socket.send(
      encodeFrame({ type: FRAME_TYPE.dataAccept, epoch, aux: 0, payload: encodeDataAccept(stream) }),
    );
  }

  /** Digests the files again and reports what differs. */
  reread(): void {
    const differing = this.#blocks.flatMap(({ shard, reader, table }, block): ExtentName[] =>
      differingExtents(shard, reader, table, this.#kernel).map((extent) => ({ block, extent })),
    );
    this.#report({ type: 'reread-done', differing });
  }

  #received(header: FrameHeader, payload: Uint8Array): void {
    checkEpoch(header, this.#plan.epoch);
    this.#counters.add('transferredBytes', FRAME_HEADER_BYTES + payload.length);
    if (header.type === FRAME_TYPE.pages) this.#applyPages(payload);
    else if (header.type === FRAME_TYPE.streamRoundEnd) this.#endRound(header.aux, payload);
    else throw new Error(`frame type ${header.type} on data stream ${this.#plan.stream}`);
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
    this.#report({ type: 'round-applied', round, roots: this.#blocks.map((block) => block.writer.root) });
  }

  #openBlock(index: number, pageCount: number): BlockShard {
    const { stream, streamCount, secret, imageFds } = this.#plan;
    const image = {
      fd: imageFds[index] ?? -1,
      path: `block ${index}`,
      sizeBytes: pageCount * PAGE_SIZE,
    };
    const shard = new Shard({ pageCount, stream, streamCount });
    const table = new DigestTable({ pageCount, zeroDigest: zeroDigest(secret) });
    const writer = new ImageWriter({ image, calls: system });
    const reader = new ImageReader({ image, calls: system });
    return {
      shard,
      table,
      reader,
      writer: new BlockWriter({ index, shard, writer, table, kernel: this.#kernel }),
    };
  }
}
