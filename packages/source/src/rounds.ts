/**
 * The rounds of a migration: ordered from the engine, confirmed by the destination's roots, measured, and judged.
 *
 * A round ends when the destination has answered that it has the same roots; the next one starts after that. The
 * final round is not confirmed here: its roots travel in `handover`.
 */
import { performance } from 'node:perf_hooks';
import { ProblemError, type MigrateBody, type RootStatus } from '@pageferry/protocol';
import type { Logger } from 'pino';
import { decide, type Decision } from './convergence.ts';
import type { RoundPlan } from './engine/messages.ts';
import type { PageEngine, RoundSent } from './page-engine.ts';
import type { FromDestination, SourceLink } from './session.ts';
import type { Settings } from './settings.ts';
import { Statistics } from './statistics.ts';

export type RoundResult = Extract<FromDestination, { type: 'round-result' }>;

export interface RoundsOptions {
  readonly body: MigrateBody;
  readonly settings: Settings;
  readonly statistics: Statistics;
  readonly logger: Logger;
}

/** What rounds are sent with, once setup has it. */
export interface RoundsSetup {
  readonly engine: PageEngine;
  readonly link: SourceLink;
  readonly epoch: number;
  readonly isGuestStopped: boolean;
  readonly journalMs: number;
}

export class Rounds {
  readonly #options: RoundsOptions;
  /** The round that runs or has just ended. */
  current = 0;
  decision: Decision | undefined;
  /** Of the last confirmed round, a row a block. */
  roots: RootStatus[] = [];
  #previousRoundMs = 0;
  #answered: ((message: RoundResult) => void) | undefined;

  constructor(options: RoundsOptions) {
    this.#options = options;
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
    await this.#confirmed(setup, 0, this.#options.settings.parameters['xbzrle-stage'] === 'always');
  }

  /** Rounds until the predicted pause is short enough. @throws ProblemError no-convergence, roots-differ */
  async iterate(setup: RoundsSetup): Promise<void> {
    for (;;) {
      const decision = this.#decide(setup);
      const { action, because } = decision;
      this.decision = decision;
      this.#options.logger.info({ round: this.current, action, because }, 'round done');
      if (action === 'switchover') return;
      if (action === 'give-up') throw new ProblemError('no-convergence', because, { peer: 'source' });
      await this.#confirmed(setup, this.current + 1, true);
    }
  }

  /** The guest is paused: everything is scanned once more, without a cap; nothing is diffed after it. */
  async final(setup: RoundsSetup): Promise<readonly Uint8Array[]> {
    setup.engine.setBandwidth(0);
    const plan = this.#plan(this.current + 1, this.current > 0, false);
    const { roots } = await this.#send(setup, plan, true, async () => undefined);
    return roots;
  }

  /** The destination has the roots that were sent for a round. */
  noteRoots(round: number, ours: readonly Uint8Array[], theirs: readonly Uint8Array[]): void {
    this.roots = this.#options.body.blocks.map(({ id }, index) => ({
      block: id,
      round,
      source: hex(ours[index]),
      destination: hex(theirs[index]),
    }));
  }

  async #confirmed(setup: RoundsSetup, round: number, useXbzrle: boolean): Promise<void> {
    await this.#send(setup, this.#plan(round, useXbzrle, true), false, async ({ roots }) => {
      const answer = new Promise<RoundResult>((resolve) => {
        this.#answered = resolve;
      });
      setup.link.send({ type: 'round-end', round, roots: [...roots] }, setup.epoch);
      const result = await answer;
      this.noteRoots(round, roots, result.roots);
      if (result.matches) return;
      throw new ProblemError(
        'roots-differ',
        `After round ${round} the destination's digests differ from what was sent`,
      );
    });
  }

  #plan(round: number, useXbzrle: boolean, fillCache: boolean): RoundPlan {
    const { body, settings } = this.#options;
    const cacheBytes = settings.cacheSizeBytes;
    return { round, useXbzrle: body.capabilities.xbzrle && useXbzrle, fillCache, cacheBytes };
  }

  /** Sends a round, waits for `confirm`, and notes what it came to. */
  async #send(
    { engine }: RoundsSetup,
    plan: RoundPlan,
    isFinal: boolean,
    confirm: (sent: RoundSent) => Promise<void>,
  ): Promise<RoundSent> {
    const { statistics } = this.#options;
    const before = statistics.lastRound?.after ?? statistics.counters;
    this.#previousRoundMs = statistics.lastRound?.roundMs ?? 0;
    this.current = plan.round;
    const startMs = performance.now();
    const sent = await engine.round(plan);
    await confirm(sent);
    const { counters: after, rssAnonBytes } = sent;
    statistics.counters = after;
    const roundMs = performance.now() - startMs;
    statistics.rounds.push({ round: plan.round, isFinal, before, after, roundMs, rssAnonBytes });
    return sent;
  }

  #decide({ link, isGuestStopped, journalMs }: RoundsSetup): Decision {
    const { statistics, settings } = this.#options;
    const { parameters } = settings;
    const last = statistics.lastRound;
    const cap = parameters['max-bandwidth'];
    const measured = {
      round: this.current,
      isGuestStopped,
      changedPages: last === undefined ? 0 : Statistics.changedPages(last),
      wireBytes: last === undefined ? 0 : Statistics.wireBytes(last),
      roundMs: last?.roundMs ?? 0,
      previousRoundMs: this.#previousRoundMs,
      scanMs: statistics.scanMs,
      bandwidth: cap === 0 ? statistics.bandwidth : Math.min(cap, statistics.bandwidth),
      // No guest type of this release has any.
      deviceStateMs: 0,
      journalMs,
      roundTripMs: link.roundTripMs ?? 0,
      rereadMs: parameters['destination-reread'] ? statistics.scanMs : 0,
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
