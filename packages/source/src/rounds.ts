/**
 * The rounds of a migration: ordered from the engine, confirmed by the destination's roots, measured, and judged.
 *
 * A round ends when the destination has answered that it has the same roots; the next one starts after that. The
 * final round is not confirmed here: its roots travel in `handover`.
 */
import { performance } from 'node:perf_hooks';
import type { Guest } from '@pageferry/guest';
import type { ImageSet, RoundScope } from '@pageferry/memory';
import {
  PAGE_SIZE_BYTES,
  ProblemError,
  type MigrateBody,
  type Proof,
  type Repair,
  type RootStatus,
} from '@pageferry/protocol';
import type { Logger } from 'pino';
import { decide, type Decision } from './convergence.ts';
import type { RoundPlan } from './engine/messages.ts';
import type { Failure } from './failure.ts';
import type { PageEngine, RoundSent } from './page-engine.ts';
import type { FromDestination, SourceLink } from './session.ts';
import type { Settings } from './settings.ts';
import { Statistics } from './statistics.ts';
import type { Tracking } from './tracking.ts';

/** A round to be sent. */
type Order = Omit<RoundPlan, 'cacheBytes' | 'watched' | 'sampleScan'>;

/** The final round. */
export interface FinalRound {
  readonly roots: readonly Uint8Array[];
  /** What it says of the source's pages; nothing where soft-dirty bits were enough. */
  readonly proof: Proof | undefined;
}

export type RoundResult = Extract<FromDestination, { type: 'round-result' }>;

export interface RoundsOptions {
  readonly body: MigrateBody;
  readonly settings: Settings;
  readonly statistics: Statistics;
  readonly tracking: Pick<
    Tracking,
    'checkConditions' | 'finalDecided' | 'finalScope' | 'scope' | 'roundEnded' | 'takeWatched'
  >;
  readonly logger: Logger;
  /** A round's roots were the same on both sides. */
  readonly onConfirmed: () => void;
}

/** What rounds are sent with, once setup has it. */
export interface RoundsSetup {
  readonly engine: Pick<PageEngine, 'round' | 'setBandwidth'>;
  readonly link: Pick<SourceLink, 'send' | 'sendDeviceState' | 'roundTripMs'>;
  readonly images: Pick<ImageSet, 'allocatedBytes'>;
  readonly guest: Pick<Guest, 'type'>;
  readonly epoch: number;
  readonly isGuestStopped: boolean;
  readonly hasBase: boolean;
  readonly journalMs: number;
  /** Of the attempt. */
  readonly failure: Failure;
}

const PROOFS: Readonly<Partial<Record<RoundScope, Proof>>> = {
  everything: 'source-rescanned',
  nothing: 'source-unwritten',
};

/** Rounds in a row that may end with different roots before the migration is given up. */
const REPAIRS_IN_A_ROW_MAX = 3;

export class Rounds {
  readonly #options: RoundsOptions;
  /** The round that runs or has just ended. */
  current = 0;
  decision: Decision | undefined;
  /** In the order of hello; known after setup. */
  blockIds: readonly string[] = [];
  /** Of the last confirmed round, a row a block. */
  roots: RootStatus[] = [];
  /** What the destination had otherwise than it was sent, and was sent again. */
  readonly repairs: Repair[] = [];
  /** Time for roots to be exchanged, without what was waited for pages to be applied, milliseconds. */
  confirmMs = 0;
  /** Rounds in a row whose roots differed. */
  #differingRounds = 0;
  /** The next round begins with the digest exchange. */
  #isReconcileDue = false;
  #previousRoundMs = 0;
  #answered: ((message: RoundResult) => void) | undefined;

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  /** Whether every page was sent and confirmed once: the bulk stage is not repeated. */
  get hasBulk(): boolean {
    return this.#options.statistics.rounds.length > 0;
  }

  /** Another attempt goes on: what the destination has is found out by the digest exchange. */
  startAttempt(): void {
    this.#answered = undefined;
    this.#differingRounds = 0;
    this.#isReconcileDue = this.hasBulk;
  }

  /** The destination's answer to the round that was sent. */
  answered(message: RoundResult): void {
    if (message.round !== this.current) {
      throw new ProblemError(
        'protocol-violation',
        `an answer to round ${message.round} in round ${this.current}`,
      );
    }
    this.#answered?.(message);
  }

  /** Round 0: every page once; deltas and cache stay out of it (the seed rule) unless asked otherwise. */
  async bulk(setup: RoundsSetup): Promise<void> {
    const useXbzrle = this.#options.settings.parameters['xbzrle-stage'] === 'always';
    await this.#confirmed(setup, {
      round: 0,
      scope: 'everything',
      useXbzrle,
      fillCache: true,
      reconcile: setup.hasBase,
    });
  }

  /** Rounds until the predicted pause is short enough. @throws ProblemError no-convergence, roots-differ */
  async iterate(setup: RoundsSetup): Promise<void> {
    for (;;) {
      if (this.#isReconcileDue) {
        await this.#confirmed(setup, this.#next({ reconcile: true }));
        continue;
      }
      await setup.failure.unlessFailed(this.#options.tracking.checkConditions());
      const decision = this.#decide(setup);
      const { action, because } = decision;
      this.decision = decision;
      this.#options.logger.info({ round: this.current, action, because }, 'round done');
      if (action === 'switchover') return;
      if (action === 'give-up') throw new ProblemError('no-convergence', because, { peer: 'source' });
      await this.#confirmed(setup, this.#next({ reconcile: false }));
    }
  }

  /**
   * The guest is paused: everything is scanned once more, or the bits are read where they are proven to do, or nothing where
   * nobody can have written; without a cap, and nothing is diffed after it.
   */
  async final(setup: RoundsSetup): Promise<FinalRound> {
    setup.engine.setBandwidth(0);
    const scope = await setup.failure.unlessFailed(this.#options.tracking.checkConditions());
    this.#options.tracking.finalDecided();
    const useXbzrle = this.current > 0;
    const plan = { round: this.current + 1, scope, useXbzrle, fillCache: false, reconcile: false };
    const { roots } = await this.#send(setup, plan, true, async () => undefined);
    return { roots, proof: PROOFS[scope] };
  }

  /** The destination has the roots that were sent for a round. */
  noteRoots(round: number, ours: readonly Uint8Array[], theirs: readonly Uint8Array[]): void {
    this.roots = this.blockIds.map((block, index) => ({
      block,
      round,
      source: hex(ours[index]),
      destination: hex(theirs[index]),
    }));
  }

  #next({ reconcile }: { readonly reconcile: boolean }): Order {
    // What the digest exchange finds to differ was not written here, so no bit names it.
    const scope = reconcile ? 'everything' : this.#options.tracking.scope;
    return { round: this.current + 1, scope, useXbzrle: true, fillCache: true, reconcile };
  }

  /** Sends a round and compares roots. Where they differ, the next round mends it; not without end. */
  async #confirmed(setup: RoundsSetup, order: Order): Promise<void> {
    await this.#send(setup, order, false, async ({ round, roots }) => {
      const answer = new Promise<RoundResult>((resolve) => {
        this.#answered = resolve;
      });
      const startMs = performance.now();
      setup.link.send({ type: 'round-end', round, roots: [...roots] }, setup.epoch);
      const result = await answer;
      this.confirmMs += Math.max(0, performance.now() - startMs - result.waitedMs);
      this.noteRoots(round, roots, result.roots);
      this.#differingRounds = result.matches ? 0 : this.#differingRounds + 1;
      this.#isReconcileDue = !result.matches;
      if (result.matches) {
        this.#options.onConfirmed();
        return;
      }
      this.#options.logger.warn({ round }, 'the roots differ; the digest exchange finds where');
      if (this.#differingRounds <= REPAIRS_IN_A_ROW_MAX) return;
      throw new ProblemError(
        'roots-differ',
        `After round ${round} the destination's digests still differ from what was sent, ${REPAIRS_IN_A_ROW_MAX} repairs notwithstanding`,
      );
    });
  }

  /** Sends a round, waits for `confirm`, and notes what it came to. */
  async #send(
    { engine }: RoundsSetup,
    order: Order,
    isFinal: boolean,
    confirm: (sent: RoundSent) => Promise<void>,
  ): Promise<RoundSent> {
    const { body, settings, statistics, tracking } = this.#options;
    const useXbzrle = body.capabilities.xbzrle && order.useXbzrle;
    const plan = {
      ...order,
      useXbzrle,
      cacheBytes: settings.cacheSizeBytes,
      watched: tracking.takeWatched(),
      sampleScan: order.scope !== 'everything' && !isFinal,
    };
    // After an interruption this has what the attempt before sent of a round that it did not end.
    const before = statistics.counters;
    this.#previousRoundMs = statistics.lastRound?.roundMs ?? 0;
    this.current = plan.round;
    const startMs = performance.now();
    const sent = await engine.round(plan);
    tracking.roundEnded(plan.round, plan.scope, sent.doubts);
    // Where bits turned out not to count, everything was scanned.
    const scope: RoundScope = sent.doubts.length > 0 ? 'everything' : plan.scope;
    if (this.#differingRounds > 0) this.#noteRepairs(sent);
    await confirm(sent);
    statistics.engineCounters = sent.counters;
    const { counters: after } = statistics;
    const { rssAnonBytes } = sent;
    const roundMs = performance.now() - startMs;
    statistics.rounds.push({ round: plan.round, isFinal, scope, before, after, roundMs, rssAnonBytes });
    return sent;
  }

  #noteRepairs({ round, differences }: RoundSent): void {
    for (const { block, pageCount, firstPage } of differences) {
      const id = this.blockIds[block] ?? String(block);
      const repair = { round, block: id, pages: pageCount, 'first-page': firstPage };
      this.repairs.push(repair);
      this.#options.logger.warn(
        { repair },
        'pages were not at the destination as they were sent: sent again',
      );
    }
  }

  #decide({ link, images, guest, isGuestStopped, journalMs }: RoundsSetup): Decision {
    const { statistics, settings, tracking } = this.#options;
    const { parameters } = settings;
    const dataPages = images.allocatedBytes / PAGE_SIZE_BYTES / parameters['multifd-channels'];
    const scanMs = statistics.scanMs(dataPages);
    const last = statistics.lastRound;
    const cap = parameters['max-bandwidth'];
    const measured = {
      round: this.current,
      isGuestStopped,
      changedPages: last === undefined ? 0 : Statistics.changedPages(last),
      wireBytes: last === undefined ? 0 : Statistics.wireBytes(last),
      roundMs: last?.roundMs ?? 0,
      previousRoundMs: this.#previousRoundMs,
      scanMs: tracking.finalScope === 'everything' ? scanMs : statistics.bitsMs,
      bandwidth: cap === 0 ? statistics.bandwidth : Math.min(cap, statistics.bandwidth),
      // A process and nobody have no device state to save and load.
      deviceStateMs: guest.type === 'qemu' ? statistics.deviceStateMs : 0,
      journalMs,
      roundTripMs: link.roundTripMs ?? 0,
      rereadMs: parameters['destination-reread'] ? scanMs : 0,
    };
    return decide(measured, {
      downtimeLimitMs: parameters['downtime-limit'],
      minRounds: parameters['min-rounds'],
      maxRounds: parameters['max-rounds'],
      onNoConvergence: parameters['on-no-convergence'],
    });
  }
}

function hex(root: Uint8Array | undefined): string {
  return Buffer.from(root ?? []).toString('hex');
}
