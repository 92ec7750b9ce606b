/**
 * One stream of the source's engine, in its own thread: its shard of every block, from the image to the socket.
 *
 * Shared-nothing: the shard's digest table and cache are this stream's alone, so deltas work on every stream.
 * A batch is a private snapshot: digest, delta and raw bytes are of the same copied bytes, or a page that
 * changes and changes back would be lost. The digest table is what the destination has once all that was sent
 * is applied.
 */
import {
  encodeFrame,
  encodeStreamRoundEnd,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  PAGES_HEADER_BYTES,
  writeFrameHeader,
  writePagesHeader,
} from '@pageferry/protocol/wire';
import {
  DigestTable,
  ImageMapping,
  ImageReader,
  MappedTracker,
  ScanTracker,
  Shard,
  SoftDirtyTracker,
  type DirtyTracker,
  type PageRun,
} from '@pageferry/memory';
import { SharedCounters, system } from '@pageferry/transport';
import {
  BATCH_PAGES,
  cacheBytesPerStream,
  EXTENT_PAGES,
  PAGE_SIZE,
  SourceKernel,
  zeroDigest,
} from '@pageferry/xbzrle';
import { COUNTER_NAMES, type StreamCounters } from './counters.ts';
import { DataConnection } from './data-connection.ts';
import type { RoundPlan, StreamPlan, StreamRound } from './messages.ts';
import { probeScan, sampleScan, type ScanProbe } from './probe.ts';
import { RateLimit } from './rate-limit.ts';
import { reconcile, type Difference } from './reconcile.ts';

/** Frames under way at once; the ring is also the backpressure. */
const SLOT_COUNT = 4;
const ROUND_COUNTERS = [
  'roundPages',
  'roundScanMs',
  'roundLimitMs',
  'roundReconcileMs',
  'sampledPages',
  'sampledMs',
] as const;
const HEADROOM_BYTES = FRAME_HEADER_BYTES + PAGES_HEADER_BYTES;

/** A block as this stream sees it. */
interface BlockShard {
  readonly index: number;
  readonly shard: Shard;
  readonly reader: ImageReader;
  readonly table: DigestTable;
  readonly scan: ScanTracker;
  readonly mapping: ImageMapping;
  readonly softDirty: SoftDirtyTracker;
  /** The two above and the scan, one on the other: what a round asks. */
  readonly tracker: DirtyTracker;
}

export class Stream {
  readonly #plan: StreamPlan;
  readonly #counters: StreamCounters;
  readonly #limit: RateLimit;
  readonly #blocks: readonly BlockShard[];
  readonly #freeSlots = Array.from({ length: SLOT_COUNT }, (_, slot) => slot);
  #kernel: SourceKernel;
  #connection: DataConnection | undefined;
  #slotFreed: (() => void) | undefined;
  #cacheBytes = 0;
  #frameCount = 0;
  /** Pages that were compared where they are mapped, and never came to the kernel that counts. */
  #unchangedCount = 0;

  constructor(plan: StreamPlan) {
    this.#plan = plan;
    this.#counters = new SharedCounters(COUNTER_NAMES, plan.counters);
    this.#limit = new RateLimit(plan.limit);
    this.#kernel = new SourceKernel({
      secret: plan.secret,
      cacheBytes: 0,
      eviction: plan.eviction,
      slotCount: SLOT_COUNT,
      headroomBytes: HEADROOM_BYTES,
    });
    this.#blocks = plan.blockPageCounts.map((pageCount, index) => this.#openBlock(index, pageCount));
  }

  /** Connects to the destination; resolves once its engine accepted this stream. Stream 0 measures a scan meanwhile. */
  async connect(failed: (error: Error) => void): Promise<ScanProbe> {
    let probe: ScanProbe = { bytes: 0, ms: 0 };
    const asked = (): void => {
      if (this.#plan.stream === 0) probe = probeScan(this.#blocks, this.#plan.secret);
    };
    this.#connection = await DataConnection.open(this.#plan, { asked, failed });
    return probe;
  }

  /** Sends one round; resolves once all of it is in the socket. */
  async round(plan: RoundPlan): Promise<StreamRound> {
    this.#resizeCache(plan);
    for (const name of ROUND_COUNTERS) this.#counters.set(name, 0);
    this.#watch(plan);
    const differences = plan.reconcile ? await this.#reconcile() : [];
    this.#frameCount = 0;
    if (plan.scope !== 'nothing') for (const block of this.#blocks) await this.#sendBlock(block, plan);
    const { epoch, stream } = this.#plan;
    const payload = encodeStreamRoundEnd({ stream, frameCount: this.#frameCount });
    await this.#send(encodeFrame({ type: FRAME_TYPE.streamRoundEnd, epoch, aux: plan.round, payload }));
    if (plan.sampleScan) this.#sample();
    const doubts = this.#blocks.flatMap(({ softDirty: { doubt } }) => (doubt === undefined ? [] : [doubt]));
    return { roots: this.#blocks.map((block) => block.table.blockRoot()), differences, doubts };
  }

  /** From here on these processes' bits count: the round that begins scans everything. */
  #watch({ watched }: RoundPlan): void {
    if (watched === undefined) return;
    for (const { index, softDirty } of this.#blocks) {
      const writers = watched[index];
      if (writers !== undefined) softDirty.track(writers);
    }
  }

  #sample(): void {
    const { pages, ms } = sampleScan(this.#blocks);
    this.#counters.set('sampledPages', pages);
    this.#counters.set('sampledMs', ms);
  }

  /** Makes the digest tables say what the destination has: this round sends what differs from that. */
  async #reconcile(): Promise<Difference[]> {
    const connection = this.#connection;
    if (connection === undefined) return [];
    const startMs = performance.now();
    const { stream } = this.#plan;
    const differences: Difference[] = [];
    for (const { index: block, shard, table } of this.#blocks) {
      const found = await reconcile({ block, stream, shard, table, kernel: this.#kernel }, connection);
      if (found !== undefined) differences.push(found);
    }
    this.#counters.set('roundReconcileMs', performance.now() - startMs);
    return differences;
  }

  async #sendBlock(block: BlockShard, plan: RoundPlan): Promise<void> {
    let slot = await this.#takeSlot();
    let startMs = performance.now();
    for (const run of block.tracker.candidates(plan)) {
      this.#counters.add('roundPages', run.pageCount);
      if (run.kind === 'unchanged') {
        this.#unchangedCount += run.pageCount;
        continue;
      }
      // A hole of an extent has more pages than a batch, and its record needs less room than a batch of data.
      if (!this.#kernel.hasRoom(slot, Math.min(run.pageCount, BATCH_PAGES))) {
        this.#counters.add('roundScanMs', performance.now() - startMs);
        this.#publish();
        await this.#sendFrame(slot, block.index, plan.round);
        slot = await this.#takeSlot();
        startMs = performance.now();
      }
      this.#encode(slot, block, run, plan);
    }
    this.#counters.add('roundScanMs', performance.now() - startMs);
    if (this.#kernel.recordBytes(slot) > 0) await this.#sendFrame(slot, block.index, plan.round);
    else this.#freeSlots.push(slot);
    this.#publish();
  }

  /** Reads a run and appends what changed of it to the slot's frame. */
  #encode(slot: number, block: BlockShard, run: PageRun, plan: RoundPlan): void {
    const { table } = block;
    const kernel = this.#kernel;
    const extent = Math.floor(run.firstPage / EXTENT_PAGES);
    table.load(run.firstPage, run.pageCount, kernel.digests);
    table.root(extent, kernel.root);
    const batch = {
      firstRecordPage: run.firstLocalPage,
      firstBlockPage: run.firstPage,
      pageCount: run.pageCount,
      generation: plan.round,
      useXbzrle: plan.useXbzrle,
      fillCache: plan.fillCache,
    };
    let changedCount: number;
    if (run.kind === 'hole') {
      changedCount = kernel.encodeZeroBatch(slot, batch);
    } else {
      snapshot(block, run, plan.round, kernel.input(slot));
      changedCount = kernel.encodeBatch(slot, batch);
    }
    const isWholeHole = run.kind === 'hole' && run.pageCount === EXTENT_PAGES;
    if (isWholeHole) table.storeZeroExtent(extent);
    else if (changedCount > 0) table.store(run.firstPage, run.pageCount, kernel.digests);
    if (changedCount > 0) table.storeRoot(extent, kernel.root);
  }

  async #sendFrame(slot: number, blockIndex: number, round: number): Promise<void> {
    const frame = this.#kernel.frame(slot);
    const { epoch, stream } = this.#plan;
    const payloadLengthBytes = frame.length - FRAME_HEADER_BYTES;
    writeFrameHeader(frame, 0, { type: FRAME_TYPE.pages, payloadLengthBytes, epoch, aux: round });
    writePagesHeader(frame, FRAME_HEADER_BYTES, { block: blockIndex, stream });
    this.#frameCount += 1;
    await this.#send(frame, () => {
      this.#freeSlots.push(slot);
      this.#slotFreed?.();
    });
  }

  async #send(bytes: Uint8Array, done?: () => void): Promise<void> {
    const limitedMs = await this.#limit.reserve(bytes.length);
    this.#counters.add('roundLimitMs', limitedMs);
    this.#counters.add('transferredBytes', bytes.length);
    this.#connection?.send(bytes, done);
  }

  /** A slot that no socket holds, with an empty frame. */
  async #takeSlot(): Promise<number> {
    for (;;) {
      const slot = this.#freeSlots.pop();
      if (slot !== undefined) {
        this.#kernel.begin(slot);
        return slot;
      }
      await new Promise<void>((resolve) => {
        this.#slotFreed = resolve;
      });
    }
  }

  /** The stream's share of the cache, in effect from this round on. The ring must be at rest: memory is replaced. */
  #resizeCache(plan: RoundPlan): void {
    const cacheBytes = plan.useXbzrle ? cacheBytesPerStream(plan.cacheBytes, this.#plan.streamCount) : 0;
    if (cacheBytes === this.#cacheBytes) return;
    this.#cacheBytes = cacheBytes;
    try {
      this.#kernel = this.#kernel.resized(cacheBytes);
    } catch (error) {
      // What WebAssembly throws when it gets no memory: the cache stays as it is, and with it the migration.
      if (!(error instanceof RangeError)) throw error;
      process.emitWarning(`no memory for a cache of ${cacheBytes} bytes: ${error.message}`);
    }
    this.#counters.set('cacheAllocatedBytes', this.#kernel.cacheAllocatedBytes);
  }

  #publish(): void {
    const counters = this.#kernel.counters();
    for (const name of ['normal', 'zero', 'xbzrlePages', 'xbzrleBytes', 'cacheMiss', 'overflow'] as const) {
      this.#counters.set(name, counters[name]);
    }
    this.#counters.set('unchanged', counters.unchanged + this.#unchangedCount);
  }

  #openBlock(index: number, pageCount: number): BlockShard {
    const { stream, streamCount, secret, imageFds } = this.#plan;
    const image = {
      fd: imageFds[index] ?? -1,
      path: `block ${index}`,
      sizeBytes: pageCount * PAGE_SIZE,
    };
    const mapping = new ImageMapping({ image, calls: system, secret });
    const arePresent = (firstPage: number, count: number): boolean => mapping.arePresent(firstPage, count);
    const reader = new ImageReader({ image, calls: system, arePresent });
    const shard = new Shard({ pageCount, stream, streamCount });
    const table = new DigestTable({ pageCount, zeroDigest: zeroDigest(secret) });
    const scan = new ScanTracker({ reader, shard, table });
    const softDirty = new SoftDirtyTracker({ scan, shard });
    const tracker = new MappedTracker({ tracker: softDirty, mapping, table });
    return { index, shard, reader, table, scan, mapping, softDirty, tracker };
  }
}

/**
 * Copies a run into the beginning of `target`. The bulk stage copies from the mapping, whose page tables the scans after
 * it need: half the time of reading.
 */
function snapshot(
  { mapping, reader }: BlockShard,
  { firstPage, pageCount }: PageRun,
  round: number,
  target: Uint8Array,
): void {
  if (round > 0 || !mapping.copyTo(firstPage, pageCount, target)) reader.read(firstPage, pageCount, target);
}
