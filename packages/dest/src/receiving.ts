/**
 * A session's pages at the destination: images, engine and rounds, from an accepted hello until the guest is
 * prepared or the attempt is over.
 */
import type { ImageSet } from '@pageferry/memory';
import {
  checkEpoch,
  decodeDataHello,
  PAGE_SIZE_BYTES,
  ProblemError,
  type HelloResume,
  type HelloStart,
  type Proof,
  type RootStatus,
} from '@pageferry/protocol';
import type { Arrival, EngineProcess } from '@pageferry/transport';
import type { Counters } from './engine/counters.ts';
import { PageEngine } from './page-engine.ts';
import { RoundHistory } from './round-history.ts';
import { areSameRoots, AppliedRounds } from './applied-rounds.ts';

export interface ReceivingOptions {
  readonly hello: HelloStart | HelloResume;
  readonly images: ImageSet;
  readonly sessionKey: Uint8Array;
  /** The images hold an older copy, or what an earlier attempt left. */
  readonly hasBase: boolean;
  /** An engine that is started and idle. */
  readonly process: EngineProcess;
  readonly onFailure: (error: Error) => void;
}

/** What the source says of its final round. */
export interface FinalRound {
  readonly round: number;
  readonly roots: readonly Uint8Array[];
  /** It was about everything, scanned after the pause. */
  readonly isRescanned: boolean;
}

export class Receiving {
  readonly engine: PageEngine;
  readonly images: ImageSet;
  /** Memory of all blocks, also after the images were let go. */
  readonly totalBytes: number;
  readonly verified: Proof[] = [];
  counters: Counters | undefined;
  rssAnonBytes = 0;
  round = 0;
  roots: RootStatus[] = [];
  readonly history = new RoundHistory(performance.now());
  readonly #options: ReceivingOptions;
  readonly #rounds = new AppliedRounds();
  readonly #connectedStreams = new Set<number>();
  #ended: Promise<void> | undefined;

  constructor(options: ReceivingOptions) {
    const { hello, images } = options;
    this.#options = options;
    this.images = images;
    this.totalBytes = images.sizeBytes;
    this.engine = new PageEngine({
      plan: {
        epoch: hello.epoch,
        streamCount: hello.streamCount,
        secret: hello.secret,
        hasBase: options.hasBase,
        audits: hello.destinationReread,
        blockPageCounts: images.blocks.map(({ image }) => image.sizeBytes / PAGE_SIZE_BYTES),
      },
      process: options.process,
      files: images.files,
      onProgress: (counters, rssAnonBytes) => {
        this.counters = counters;
        this.rssAnonBytes = rssAnonBytes;
      },
      onRoundApplied: (applied) => {
        this.counters = applied.counters;
        this.rssAnonBytes = applied.rssAnonBytes;
        this.history.applied(applied, performance.now());
        this.#rounds.applied(applied);
      },
      onFailure: options.onFailure,
    });
  }

  /** Whether pages could come. */
  get mayHaveWritten(): boolean {
    return this.#connectedStreams.size > 0;
  }

  /** Share of memory that came at least once, 0 to 1; pages that come again count no more than the whole. */
  get coverage(): number {
    if (this.history.rounds.length > 0) return 1;
    if (this.counters === undefined || this.totalBytes === 0) return 0;
    const { normal, zero, xbzrlePages } = this.counters;
    return Math.min(1, ((normal + zero + xbzrlePages) * PAGE_SIZE_BYTES) / this.totalBytes);
  }

  /** Proves a data connection and gives it to its stream. @throws ProtocolError */
  connect(arrival: Arrival): void {
    const { hello, sessionKey } = this.#options;
    if (arrival.dataHello === undefined) throw new TypeError('a data connection has a data-hello');
    checkEpoch(arrival.dataHello, hello.epoch);
    const session = { sessionId: hello.sessionId, sessionKey, epoch: hello.epoch };
    const stream = decodeDataHello(arrival.dataHello.payload, session, hello.streamCount);
    if (this.#connectedStreams.has(stream)) {
      throw new ProblemError('protocol-violation', `stream ${stream} is connected already`, {
        peer: 'destination',
      });
    }
    this.#connectedStreams.add(stream);
    this.engine.connect(stream, arrival);
  }

  /** Resolves when a round is applied: our roots, and whether they are the source's. */
  async compare(
    round: number,
    theirs: readonly Uint8Array[],
  ): Promise<{ readonly roots: readonly Uint8Array[]; readonly matches: boolean }> {
    const { roots } = await this.#rounds.until(round);
    this.round = round;
    this.roots = this.images.blocks.map(({ id }, index) => ({
      block: id,
      round,
      source: hex(theirs[index]),
      destination: hex(roots[index]),
    }));
    return { roots, matches: areSameRoots(roots, theirs) };
  }

  /** Proves that what was sent is applied, and, if the source asked for it, that it is in the files. @throws ProblemError */
  async verify({ round, roots, isRescanned }: FinalRound): Promise<void> {
    const { matches } = await this.compare(round, roots);
    // The guest opens the images by their names.
    this.images.checkNames();
    this.history.markFinal(round);
    if (!matches) {
      throw new ProblemError(
        'roots-differ',
        `After round ${round} the digests of what was applied differ from the source's`,
        {
          peer: 'destination',
        },
      );
    }
    if (isRescanned) this.verified.push('source-rescanned');
    this.verified.push('sent-equals-applied');
    if (!this.#options.hello.destinationReread) return;
    const differing = await this.engine.reread();
    const [first] = differing;
    if (first !== undefined) {
      const block = this.images.blocks[first.block]?.id ?? '';
      const detail = `${differing.length} extents of 2 MiB read back differently than they were written, first extent ${first.extent} of block ${block}`;
      throw new ProblemError('roots-differ', detail, { peer: 'destination' });
    }
    this.verified.push('destination-reread');
  }

  /** Ends the engine and lets the images go, once however often it is called. */
  async end(): Promise<void> {
    this.#ended ??= this.engine.kill().then(() => this.images.close());
    await this.#ended;
  }
}

function hex(root: Uint8Array | undefined): string {
  return Buffer.from(root ?? []).toString('hex');
}
