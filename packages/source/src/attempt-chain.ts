/**
 * The attempts of one migration, one after the other: what is open now, what ended it, and whether another one follows.
 *
 * Invariant: another attempt follows only where the guest runs at the source and nothing was committed; everything an
 * attempt could not finish is found again by the digest exchange of the next one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { mayStartEpoch } from '@pageferry/handover';
import { problemError, problemOf } from '@pageferry/management';
import { ProblemError, type Interruption, type Phase, type ProblemDetails } from '@pageferry/protocol';
import {
  beginAttempts,
  endAttempt,
  nextAttempt,
  type Attempt,
  type AttemptContext,
  type Held,
} from './attempt.ts';
import { AttemptListener } from './attempt-listener.ts';
import { Failure } from './failure.ts';
import type { Ownership } from './ownership.ts';
import { AttemptLimit, mayPass } from './reconnect.ts';
import type { Rounds } from './rounds.ts';
import type { Setup } from './setup.ts';
import type { Statistics } from './statistics.ts';

/** What an earlier life of the daemon left: the session, and the guest as it was journaled. */
export interface Recovered {
  readonly held: Held;
  readonly guestIdentity: unknown;
  readonly reason: string;
}

export interface AttemptChainOptions {
  readonly context: AttemptContext;
  readonly rounds: Rounds;
  readonly statistics: Statistics;
  readonly reconnectLimit: number;
  readonly recovered: Recovered | undefined;
  readonly phase: () => Phase;
}

export class AttemptChain {
  /** What was survived, in order. */
  readonly interruptions: Interruption[] = [];
  readonly #options: AttemptChainOptions;
  readonly #limit: AttemptLimit;
  /** Of the current attempt. */
  #failure = new Failure();
  /** The operator's or the daemon's word that no attempt is to follow. */
  #ended: Error | undefined;
  #held: Held | undefined;
  #attempt: Attempt | undefined;

  constructor(options: AttemptChainOptions) {
    this.#options = options;
    this.#limit = new AttemptLimit(options.reconnectLimit);
    this.#held = options.recovered?.held;
  }

  /** Of the current attempt: what it waits for is raced with this. */
  get failure(): Failure {
    return this.#failure;
  }

  get current(): Attempt | undefined {
    return this.#attempt;
  }

  get ownership(): Ownership | undefined {
    return this.#held?.ownership;
  }

  /** The session's epoch; 0 before there is one. */
  get epoch(): number {
    return this.ownership?.state.epoch ?? 0;
  }

  /** Ends the current attempt, and no other follows. */
  fail(error: Error): void {
    this.#ended ??= error;
    this.#failure.fail(error);
  }

  /** A round was confirmed: attempts are counted anew. */
  succeeded(): void {
    this.#limit.succeeded();
  }

  /** The first attempt of the session; where one was recovered, `next` opens the first one of this life. */
  async begin(setup: Setup): Promise<Attempt | undefined> {
    const { context, recovered } = this.#options;
    if (recovered !== undefined) {
      this.interruptions.push({ epoch: this.epoch, phase: 'setup', reason: recovered.reason });
      return undefined;
    }
    const { attempt, held } = await beginAttempts(setup, context, this.#listen(setup));
    this.#attempt = attempt;
    this.#held = held;
    held.ownership.willResume = this.#limit.isPossible;
    return attempt;
  }

  /** The handover of the session, which begins with its first attempt. */
  get held(): Held {
    if (this.#held === undefined) throw new ProblemError('internal', 'there is no session to go on with');
    return this.#held;
  }

  /** Opens the attempt after one that was interrupted, after a pause. @throws the cause that ended it */
  async next(setup: Setup): Promise<Attempt> {
    const { context, rounds, statistics } = this.#options;
    const { signal } = this.#failure;
    await sleep(this.#limit.next(), undefined, { signal }).catch(() => undefined);
    if (this.#failure.error !== undefined) throw this.#failure.error;
    statistics.startAttempt();
    rounds.startAttempt();
    this.#attempt = await nextAttempt(setup, this.held, context, this.#listen(setup));
    return this.#attempt;
  }

  /**
   * What ended an attempt before the commit may be followed by another one: the guest runs here again, and the cause
   * may pass. @throws the cause where it may not
   */
  async interrupt(error: unknown, phase: Phase): Promise<void> {
    const problem = problemOf(error, { phase, peer: 'source' });
    this.#limit.ended(phase);
    this.#failure.fail(problemError(error));
    if (this.#held === undefined || !this.#mayGoOn(problem)) throw error;
    const state = await this.#giveBack(this.#held.ownership, problem.detail);
    if (!mayStartEpoch(state) || !this.#mayGoOn(problem)) throw error;
    // From here on what the old attempt's link and engine say is nobody's.
    this.#failure = new Failure();
    const attempt = this.#attempt;
    this.#attempt = undefined;
    this.#held.guard.current = undefined;
    if (attempt !== undefined) await endAttempt(attempt);
    this.interruptions.push({ epoch: state.epoch, phase, reason: problem.detail });
    this.#options.context.logger.warn({ problem }, 'interrupted; the migration goes on with another attempt');
    if (this.#ended !== undefined) throw this.#ended;
  }

  /** Lets guard and link go; the engine is ended before. */
  release(): void {
    void this.#attempt?.guard.stop();
    this.ownership?.releaseLink();
  }

  #mayGoOn(problem: ProblemDetails): boolean {
    return this.#ended === undefined && this.#limit.isLeft && mayPass(problem);
  }

  /** Until the guest runs here again, or it is known that it does not. */
  async #giveBack(ownership: Ownership, reason: string): Promise<Ownership['state']> {
    if (!mayStartEpoch(ownership.state)) await ownership.deliver({ type: 'failed', reason });
    return ownership.until(
      (state) => mayStartEpoch(state) || state.phase === 'committed' || state.phase === 'completed',
    );
  }

  /** What happens to the current attempt; a later one has a failure of its own. */
  #listen({ settings }: Setup): AttemptListener {
    const failure = this.#failure;
    const { rounds, statistics, phase } = this.#options;
    return new AttemptListener({
      failure,
      isCurrent: () => this.#failure === failure,
      ownership: () => this.ownership,
      isEnding: () => ['handover', 'committed', 'completed'].includes(phase()),
      onRoundResult: (result) => rounds.answered(result),
      onCacheCeiling: (bytes) => {
        settings.cacheCeilingBytes = bytes;
      },
      onProgress: (counters, rssAnonBytes) => {
        statistics.engineCounters = counters;
        statistics.rssAnonBytes = rssAnonBytes;
      },
    });
  }
}
