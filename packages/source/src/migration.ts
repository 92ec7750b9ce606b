/**
 * One migration at the source, from the request to its end: the phases in their order, each timed by one wrapper,
 * failures handled in one place.
 *
 * Until the commit any failure leaves the guest running here; after it only the destination's word ends the
 * migration (ownership.ts). Everything that can end it early goes through `fail`.
 */
import { performance } from 'node:perf_hooks';
import { problemError, problemOf } from '@pageferry/management';
import {
  ProblemError,
  problemType,
  type MigrateBody,
  type Phase,
  type ProblemDetails,
  type Proof,
  type Warning,
} from '@pageferry/protocol';
import type { Logger } from 'pino';
import { Failure, waitAtMost } from './failure.ts';
import { Cancelled, ownershipFailure, requirePhase } from './migration-errors.ts';
import type { HandoverAnswer, Ownership } from './ownership.ts';
import { Rounds } from './rounds.ts';
import { rejection, type FromDestination } from './session.ts';
import type { Settings } from './settings.ts';
import { setUp, type Setup, type SetupContext } from './setup.ts';
import { Statistics } from './statistics.ts';

/** The end of a migration. */
export type Outcome = 'completed' | 'failed' | 'cancelled';

/** How long a lost data connection may wait for its cause, which travels over the control connection. */
const CAUSE_WAIT_MS = 500;
/** How long a rolled-back migration waits for the destination to confirm before that is left to the background. */
const ABORT_ANSWER_MS = 1000;

export class Migration {
  readonly id: string;
  readonly body: MigrateBody;
  readonly settings: Settings;
  readonly statistics = new Statistics(0);
  readonly phases: { readonly name: string; readonly ms: number }[] = [];
  readonly warnings: Warning[] = [];
  readonly verified: Proof[] = [];
  readonly rounds: Rounds;
  readonly startedMs = performance.now();
  phase: Phase = 'connecting';
  outcome: Outcome | undefined;
  problem: ProblemDetails | undefined;
  setupMs: number | undefined;
  endedMs: number | undefined;
  pausedMs: number | undefined;
  runningMs: number | undefined;

  readonly #context: SetupContext;
  readonly #logger: Logger;
  readonly #failure = new Failure();
  readonly #abort = new AbortController();
  #setup: Setup | undefined;
  #continue: (() => void) | undefined;
  #accepted: () => void = () => undefined;

  /** Resolves after setup, when the destination has accepted; rejects with a ProblemError if it does not come to that. */
  readonly accepted: Promise<void>;
  /** Resolves at the end, whatever it is; never rejects. */
  readonly ended: Promise<Outcome>;

  constructor(id: string, body: MigrateBody, settings: Settings, context: SetupContext) {
    this.id = id;
    this.body = body;
    this.settings = settings;
    this.#context = context;
    this.#logger = context.logger;
    this.rounds = new Rounds({ body, settings, statistics: this.statistics, logger: context.logger });
    const isAccepted = new Promise<void>((resolve) => {
      this.#accepted = resolve;
    });
    this.ended = this.#run();
    this.accepted = Promise.race([
      isAccepted,
      this.ended.then(() => {
        throw problemError(this.#failure.error, { phase: this.phase, peer: 'source' });
      }),
    ]);
    this.accepted.catch(() => undefined);
  }

  get ownership(): Ownership | undefined {
    return this.#setup?.ownership;
  }

  get enginePid(): number | undefined {
    return this.#setup?.engine.pid;
  }

  get guestIdentity(): { readonly type: string; readonly pid?: number } {
    return this.#setup?.guest.identity() ?? { type: this.body.guest.type };
  }

  /** Ends the migration before the commit; after it, nothing changes. */
  fail(error: Error): void {
    this.#abort.abort(error);
    this.#failure.fail(error);
  }

  /** Leaves pre-switchover. @throws ProblemError not-in-pre-switchover */
  continue(): void {
    if (this.#continue === undefined)
      throw new ProblemError('not-in-pre-switchover', `The migration is in phase ${this.phase}`);
    this.#continue();
  }

  setBandwidth(bytesPerSecond: number): void {
    if (this.phase === 'bulk' || this.phase === 'rounds') this.#setup?.engine.setBandwidth(bytesPerSecond);
  }

  /** The phases, in their order. */
  async #run(): Promise<Outcome> {
    try {
      // Setup undoes itself when it is cancelled, so it is waited for rather than raced.
      const setup = await this.#timed('setup', () => this.#setUp());
      this.#accepted();
      await this.#phase('bulk', () => this.rounds.bulk(setup));
      await this.#phase('rounds', () => this.rounds.iterate(setup));
      await this.#phase('pausing', () => this.#pause(setup));
      await this.#phase('pre-switchover', () => this.#waitForContinue());
      const roots = await this.#phase('final-round', () => this.rounds.final(setup));
      this.verified.push('source-rescanned');
      await this.#phase('handover', () => this.#offer(setup, roots));
      await this.#phase('committed', () => this.#awaitEnd(setup));
      return await this.#end(setup, 'completed');
    } catch (error) {
      return await this.#handleFailure(error);
    }
  }

  async #phase<T>(name: Phase, work: () => Promise<T>): Promise<T> {
    return this.#timed(name, () => this.#failure.race(work()));
  }

  async #timed<T>(name: Phase, work: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    this.phase = name;
    try {
      return await work();
    } finally {
      this.phases.push({ name, ms: performance.now() - startMs });
    }
  }

  async #setUp(): Promise<Setup> {
    const setup = await setUp(this.id, this.body, this.settings, this.#context, {
      signal: this.#abort.signal,
      onMessage: (message, epoch) => this.#received(message, epoch),
      onLinkLost: (error) => this.#linkLost(error),
      onFailure: (error) => this.#engineFailed(problemError(error)),
      onProgress: (counters, rssAnonBytes) => {
        this.statistics.counters = counters;
        this.statistics.rssAnonBytes = rssAnonBytes;
      },
    });
    this.#setup = setup;
    this.statistics.totalBytes = setup.images.sizeBytes;
    this.warnings.push(...setup.warnings);
    this.setupMs = performance.now() - this.startedMs;
    return setup;
  }

  async #pause(setup: Setup): Promise<void> {
    const runState = await setup.guest.runState();
    this.pausedMs = performance.now();
    const state = await setup.ownership.pause(runState);
    requirePhase(state, 'paused');
  }

  async #waitForContinue(): Promise<void> {
    if (!this.body.capabilities['pause-before-switchover']) return;
    await new Promise<void>((resolve) => {
      this.#continue = resolve;
    });
    this.#continue = undefined;
  }

  /** From here the handover decides; it ends in `committed`, or back in our hands. */
  async #offer(setup: Setup, roots: readonly Uint8Array[]): Promise<void> {
    const { ownership } = setup;
    const milliseconds = this.settings.parameters['switchover-timeout'];
    const timer = setTimeout(() => {
      this.fail(
        new ProblemError(
          'switchover-timeout',
          `The destination was not ready within ${milliseconds} ms of the handover`,
        ),
      );
    }, milliseconds);
    try {
      await ownership.offer({ round: this.rounds.current, roots });
      const state = await ownership.until(({ phase }) => phase !== 'offered' && phase !== 'committing');
      if (state.phase !== 'committed' && state.phase !== 'completed') throw ownershipFailure(state);
      this.rounds.noteRoots(this.rounds.current, roots, roots);
      this.verified.push('sent-equals-applied');
      if (this.settings.parameters['destination-reread']) this.verified.push('destination-reread');
    } finally {
      clearTimeout(timer);
    }
  }

  async #awaitEnd({ ownership }: Setup): Promise<void> {
    const state = await ownership.until(({ phase }) => phase === 'completed' || phase === 'rolled-back');
    if (state.phase !== 'completed') throw ownershipFailure(state);
    this.runningMs = performance.now();
  }

  /** The one place where a failure is handled: the guest runs here again, or the destination is asked until we know. */
  async #handleFailure(error: unknown): Promise<Outcome> {
    const failedIn = this.phase;
    const setup = this.#setup;
    const isCancelled = error instanceof Cancelled;
    const where = { phase: failedIn, peer: 'source' } as const;
    const problem = problemOf(error, where);
    this.#failure.fail(problemError(error, where));
    this.phase = isCancelled ? 'cancelling' : 'aborting';
    if (setup === undefined) return this.#settle(problem, isCancelled);
    const { ownership } = setup;
    const reason = problem.detail;
    await ownership.deliver(isCancelled ? { type: 'cancel' } : { type: 'failed', reason });
    const state = await ownership.until(
      ({ phase }) => phase === 'rolled-back' || phase === 'committed' || phase === 'completed',
    );
    if (state.phase === 'rolled-back') {
      await setup.engine.kill();
      await waitAtMost(
        ABORT_ANSWER_MS,
        ownership.until((now) => now.phase === 'rolled-back' && now.isPeerInformed),
      );
      setup.close();
      return this.#settle(problem, isCancelled);
    }
    // Past the point of no return: what failed does not matter any more, only where the guest runs.
    this.phase = 'committed';
    const end = await ownership.until(({ phase }) => phase === 'completed' || phase === 'rolled-back');
    this.runningMs = performance.now();
    return end.phase === 'completed'
      ? this.#end(setup, 'completed')
      : this.#end(setup, 'failed', ownershipFailure(end));
  }

  async #end(setup: Setup, outcome: Outcome, error?: ProblemError): Promise<Outcome> {
    await setup.engine.kill();
    setup.close();
    if (outcome === 'completed') {
      this.phase = 'completed';
      this.outcome = outcome;
      this.endedMs = performance.now();
      const totalMs = this.endedMs - this.startedMs;
      const downtimeMs = (this.runningMs ?? 0) - (this.pausedMs ?? 0);
      this.#logger.info({ totalMs, downtimeMs, rounds: this.rounds.current }, 'migration completed');
      return outcome;
    }
    return this.#settle(
      (error ?? new ProblemError('internal', 'the migration ended without a reason')).problem,
      false,
    );
  }

  #settle(problem: ProblemDetails, isCancelled: boolean): Outcome {
    this.outcome = isCancelled ? 'cancelled' : 'failed';
    this.phase = this.outcome;
    this.problem = problem;
    this.endedMs = performance.now();
    this.#logger[isCancelled ? 'info' : 'error']({ problem }, `migration ${this.outcome}`);
    return this.outcome;
  }

  #received(message: FromDestination, epoch: number): void {
    switch (message.type) {
      case 'round-result':
        this.rounds.answered(message);
        break;
      case 'cache-ceiling':
        this.settings.cacheCeilingBytes = message.bytes;
        break;
      case 'error':
        this.#lost(rejection(message.problem));
        break;
      case 'ready':
      case 'running':
      case 'refused':
      case 'aborted':
        if (this.#setup !== undefined) void this.#answered(this.#setup, message, epoch);
        else if (message.type === 'aborted')
          this.fail(new ProblemError('guest-failed', message.reason, { peer: 'destination' }));
        break;
    }
  }

  /** Once the final round is out, the destination closes the data connections: that is not a failure then. */
  #engineFailed(error: ProblemError): void {
    const isExpected = this.phase === 'handover' || this.phase === 'committed';
    if (isExpected && error.problem.type === problemType('link-lost')) return;
    this.#lost(error);
  }

  /** A data connection that is lost, here or there, is mostly the symptom of an engine's end: who knows more speaks up. */
  #lost(error: ProblemError): void {
    if (error.problem.type === problemType('link-lost')) setTimeout(() => this.fail(error), CAUSE_WAIT_MS);
    else this.fail(error);
  }

  #linkLost(error: Error): void {
    const { ownership } = this.#setup ?? {};
    if (ownership === undefined) this.fail(error);
    else void ownership.linkLost(error).then(() => this.fail(problemError(error)));
  }

  /** Where the destination gave up by itself, what we wait for will not come. */
  async #answered({ ownership }: Setup, message: HandoverAnswer, epoch: number): Promise<void> {
    await ownership.answered(message, epoch);
    const { state } = ownership;
    if (state.phase === 'rolled-back' || state.phase === 'resuming') this.fail(ownershipFailure(state));
  }
}
