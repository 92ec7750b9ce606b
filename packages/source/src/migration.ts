/**
 * One migration at the source, from the request to its end: the phases in their order, each timed by one wrapper,
 * failures handled in one place.
 *
 * Until the commit any failure leaves the guest running here; after it only the destination's word ends the
 * migration (ownership.ts). Everything that can end it early goes through `fail`.
 */
import { performance } from 'node:perf_hooks';
import type { SourceState } from '@pageferry/handover';
import { problemError } from '@pageferry/management';
import {
  ProblemError,
  type MigrateBody,
  type Phase,
  type ProblemDetails,
  type Proof,
  type RootStatus,
  type Warning,
} from '@pageferry/protocol';
import type { Logger } from 'pino';
import { decide, type Decision } from './convergence.ts';
import type { RoundPlan } from './engine/messages.ts';
import { Failure } from './failure.ts';
import type { Ownership } from './ownership.ts';
import type { RoundSent } from './page-engine.ts';
import { rejection, type FromDestination } from './session.ts';
import type { Settings } from './settings.ts';
import { setUp, type Setup, type SetupContext } from './setup.ts';
import { Statistics } from './statistics.ts';

/** Cancelling and shutting down end a migration like a failure, under another name. */
export class Cancelled extends ProblemError {
  constructor(reason: string) {
    super('cancelled', reason);
  }
}

/** The end of a migration. */
export type Outcome = 'completed' | 'failed' | 'cancelled';

/** How long a rolled-back migration waits for the destination to confirm before that is left to the background. */
const ABORT_ANSWER_MS = 1000;
/** Save and load of device state where there is any, before it was measured. */
const DEVICE_STATE_MS = 30;

export class Migration {
  readonly id: string;
  readonly body: MigrateBody;
  readonly settings: Settings;
  readonly statistics = new Statistics(0);
  readonly phases: { readonly name: string; readonly ms: number }[] = [];
  readonly warnings: Warning[] = [];
  readonly roots: RootStatus[] = [];
  readonly verified: Proof[] = [];
  readonly startedMs = performance.now();
  phase: Phase = 'connecting';
  outcome: Outcome | undefined;
  problem: ProblemDetails | undefined;
  decision: Decision | undefined;
  setupMs: number | undefined;
  endedMs: number | undefined;
  pausedMs: number | undefined;
  runningMs: number | undefined;

  readonly #context: SetupContext;
  readonly #logger: Logger;
  readonly #failure = new Failure();
  readonly #abort = new AbortController();
  #setup: Setup | undefined;
  #round = 0;
  #roundResult: ((message: Extract<FromDestination, { type: 'round-result' }>) => void) | undefined;
  #continue: (() => void) | undefined;
  #accepted: () => void = () => undefined;
  #previousRoundMs = 0;

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

  get round(): number {
    return this.#round;
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
      await this.#phase('bulk', () => this.#sendRound(setup, 0));
      await this.#phase('rounds', () => this.#iterate(setup));
      await this.#phase('pausing', () => this.#pause(setup));
      await this.#phase('pre-switchover', () => this.#waitForContinue());
      const roots = await this.#phase('final-round', () => this.#sendFinalRound(setup));
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
      onFailure: (error) => this.fail(error),
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

  /** Rounds until the predicted pause is short enough, or policy says otherwise. */
  async #iterate(setup: Setup): Promise<void> {
    for (;;) {
      const decision = this.#decide(setup);
      this.decision = decision;
      this.#logger.info(
        { round: this.#round, action: decision.action, because: decision.because },
        'round done',
      );
      if (decision.action === 'switchover') return;
      if (decision.action === 'give-up')
        throw new ProblemError('no-convergence', decision.because, { peer: 'source' });
      await this.#sendRound(setup, this.#round + 1);
    }
  }

  #decide(setup: Setup): Decision {
    const { statistics, settings } = this;
    const last = statistics.lastRound;
    const { parameters } = settings;
    const cap = parameters['max-bandwidth'];
    const measured = {
      round: this.#round,
      isGuestStopped: setup.isGuestStopped,
      changedPages: last === undefined ? 0 : Statistics.changedPages(last),
      wireBytes: last === undefined ? 0 : Statistics.wireBytes(last),
      roundMs: last?.roundMs ?? 0,
      previousRoundMs: this.#previousRoundMs,
      scanMs: statistics.scanMs,
      bandwidth: cap === 0 ? statistics.bandwidth : Math.min(cap, statistics.bandwidth),
      deviceStateMs:
        this.body.guest.type === 'none' || this.body.guest.type === 'process' ? 0 : DEVICE_STATE_MS,
      journalMs: setup.journalMs,
      roundTripMs: setup.link.roundTripMs ?? 0,
      rereadMs: parameters['destination-reread'] ? statistics.scanMs : 0,
    };
    return decide(measured, {
      downtimeLimitMs: parameters['downtime-limit'],
      minRounds: parameters['min-rounds'],
      maxRounds: parameters['max-rounds'],
      onNoConvergence: parameters['on-no-convergence'],
    });
  }

  /** Sends one round before the pause and has the destination confirm its roots. */
  async #sendRound(setup: Setup, round: number): Promise<void> {
    const isBulk = round === 0;
    const useXbzrle =
      this.body.capabilities.xbzrle && (!isBulk || this.settings.parameters['xbzrle-stage'] === 'always');
    const sent = await this.#send(
      setup,
      { round, useXbzrle, fillCache: true, cacheBytes: this.settings.cacheSizeBytes },
      async (report) => {
        const answer = new Promise<Extract<FromDestination, { type: 'round-result' }>>((resolve) => {
          this.#roundResult = resolve;
        });
        setup.link.send({ type: 'round-end', round, roots: [...report.roots] }, setup.epoch);
        const { roots, matches } = await this.#failure.race(answer);
        this.#noteRoots(round, report.roots, roots);
        if (!matches)
          throw new ProblemError(
            'roots-differ',
            `After round ${round} the destination's digests differ from what was sent`,
          );
      },
    );
    this.#logger.debug({ round, counters: sent.counters }, 'round sent');
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

  /** The guest is paused: everything is scanned once more, without a cap; nothing is diffed after it. */
  async #sendFinalRound(setup: Setup): Promise<readonly Uint8Array[]> {
    setup.engine.setBandwidth(0);
    const useXbzrle = this.body.capabilities.xbzrle && this.#round > 0;
    const plan = {
      round: this.#round + 1,
      useXbzrle,
      fillCache: false,
      cacheBytes: this.settings.cacheSizeBytes,
    };
    const sent = await this.#send(setup, plan, async () => undefined, true);
    this.verified.push('source-rescanned');
    return sent.roots;
  }

  /** Sends a round, waits for `confirm`, and notes what it came to. */
  async #send(
    setup: Setup,
    plan: RoundPlan,
    confirm: (sent: RoundSent) => Promise<void>,
    isFinal = false,
  ): Promise<RoundSent> {
    const { statistics } = this;
    const before = statistics.lastRound?.after ?? statistics.counters;
    this.#round = plan.round;
    const startMs = performance.now();
    const sent = await setup.engine.round(plan);
    await confirm(sent);
    this.#previousRoundMs = statistics.lastRound?.roundMs ?? 0;
    statistics.counters = sent.counters;
    const { counters: after, rssAnonBytes } = sent;
    statistics.rounds.push({
      round: plan.round,
      isFinal,
      before,
      after,
      roundMs: performance.now() - startMs,
      rssAnonBytes,
    });
    return sent;
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
      await ownership.offer({ round: this.#round, roots });
      const state = await ownership.until(({ phase }) => phase !== 'offered' && phase !== 'committing');
      if (state.phase !== 'committed' && state.phase !== 'completed') throw ownershipFailure(state);
      this.#noteRoots(this.#round, roots, roots);
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
    const problem = problemError(error, { phase: failedIn, peer: 'source' });
    this.#failure.fail(problem);
    this.phase = isCancelled ? 'cancelling' : 'aborting';
    if (setup === undefined) return this.#settle(problem.problem, isCancelled);
    const { ownership } = setup;
    const reason = problem.message;
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
      return this.#settle(problem.problem, isCancelled);
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
        this.#roundResult?.(message);
        break;
      case 'cache-ceiling':
        this.settings.cacheCeilingBytes = message.bytes;
        break;
      case 'error':
        this.fail(rejection(message.problem));
        break;
      case 'ready':
      case 'running':
      case 'refused':
      case 'aborted':
        void this.#setup?.ownership.answered(message, epoch).then(() => this.#checkOwnership());
        break;
    }
  }

  #linkLost(error: Error): void {
    const { ownership } = this.#setup ?? {};
    if (ownership === undefined) this.fail(error);
    else void ownership.linkLost(error).then(() => this.fail(problemError(error)));
  }

  /** The destination gave up by itself: whatever we wait for will not come. */
  #checkOwnership(): void {
    const state = this.#setup?.ownership.state;
    if (state?.phase === 'rolled-back' || state?.phase === 'resuming') this.fail(ownershipFailure(state));
  }

  #noteRoots(round: number, ours: readonly Uint8Array[], theirs: readonly Uint8Array[]): void {
    this.roots.length = 0;
    this.body.blocks.forEach(({ id }, index) => {
      this.roots.push({ block: id, round, source: hex(ours[index]), destination: hex(theirs[index]) });
    });
  }
}

function requirePhase(state: SourceState, phase: SourceState['phase']): void {
  if (state.phase !== phase) throw ownershipFailure(state);
}

/** Why the guest is back in our hands, as the handover knows it. */
function ownershipFailure(state: SourceState): ProblemError {
  if (!('cause' in state)) return new ProblemError('internal', `the handover is in phase ${state.phase}`);
  const { code, reason } = state.cause;
  switch (code) {
    case 'cancelled':
      return new Cancelled(reason);
    case 'link-lost':
      return new ProblemError('link-lost', reason);
    case 'aborted-by-destination':
    case 'refused':
      return new ProblemError('guest-failed', reason, { peer: 'destination' });
    case 'daemon-restarted':
    case 'failed':
      return new ProblemError('guest-failed', reason, { peer: 'source' });
  }
}

async function waitAtMost(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}

function hex(root: Uint8Array | undefined): string {
  return Buffer.from(root ?? []).toString('hex');
}
