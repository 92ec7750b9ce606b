/**
 * One migration at the source, from the request to its end: the phases in their order, each timed by one wrapper,
 * failures handled in one place.
 *
 * Until the commit any failure leaves the guest running here; after it only the destination's word ends the
 * migration (ownership.ts). Everything that can end it early goes through `fail`.
 */
import type { DeviceState, GuestIdentity } from '@pageferry/guest';
import { problemError, problemOf } from '@pageferry/management';
import {
  ProblemError,
  type MigrateBody,
  type Phase,
  type ProblemDetails,
  type Warning,
} from '@pageferry/protocol';
import type { Logger } from 'pino';
import { AttemptChain, type Recovered } from './attempt-chain.ts';
import type { AttemptContext } from './attempt.ts';
import { createTracking } from './create-tracking.ts';
import { waitAtMost } from './failure.ts';
import { Cancelled, ownershipFailure } from './migration-errors.ts';
import { MigrationRecord, type Outcome } from './migration-record.ts';
import { finalRound, leaveGuest, saveDeviceState } from './paused-guest.ts';
import type { HandoverFacts, Ownership } from './ownership.ts';
import { Rounds } from './rounds.ts';
import type { Settings } from './settings.ts';
import { scanWarnings, setUp, type Setup, type SetupPolicy } from './setup.ts';
import { Statistics } from './statistics.ts';
import { awaitRunning, offer, pause, within } from './switchover.ts';
import { trackedGuest } from './tracked-guest.ts';
import type { Tracking } from './tracking.ts';

/** How long a rolled-back migration waits for the destination to confirm before that is left to the background. */
const ABORT_ANSWER_MS = 1000;

export interface MigrationContext extends AttemptContext, SetupPolicy {
  /** Resolves when the migration before this one has let go of engine, images and guard. */
  readonly previousReleased: Promise<void>;
}

export class Migration {
  readonly id: string;
  readonly body: MigrateBody;
  readonly settings: Settings;
  readonly statistics = new Statistics(0);
  readonly record = new MigrationRecord();
  readonly tracking: Tracking;
  readonly rounds: Rounds;
  readonly attempts: AttemptChain;

  readonly #context: MigrationContext;
  readonly #logger: Logger;
  readonly #guestIdentity: unknown;
  #setup: Setup | undefined;
  #continue: (() => void) | undefined;
  #accepted: () => void = () => undefined;
  #lettingGo: Promise<void> = Promise.resolve();

  /** Resolves after setup, when the destination has accepted; rejects with a ProblemError if it does not come to that. */
  readonly accepted: Promise<void>;
  /** Resolves at the end, whatever it is; never rejects. */
  readonly ended: Promise<Outcome>;
  /** Resolves after the end, once nothing of it is left here: an engine's memory takes its time to be given back. */
  readonly released: Promise<void>;

  constructor(
    id: string,
    body: MigrateBody,
    settings: Settings,
    context: MigrationContext,
    recovered?: Recovered,
  ) {
    this.id = id;
    this.body = body;
    this.settings = settings;
    this.#context = context;
    this.#logger = context.logger;
    this.#guestIdentity = recovered?.guestIdentity;
    const { statistics } = this;
    this.tracking = createTracking({
      requested: body.tracker,
      isGuestless: body.guest.type === 'none',
      logger: context.logger,
      warn: (warning) => this.record.warnings.push(warning),
    });
    this.rounds = new Rounds({
      body,
      settings,
      statistics,
      tracking: this.tracking,
      logger: context.logger,
      onConfirmed: () => this.attempts.succeeded(),
    });
    this.attempts = new AttemptChain({
      context,
      rounds: this.rounds,
      statistics,
      reconnectLimit: settings.parameters['reconnect-limit'],
      recovered,
      phase: () => this.record.phase,
    });
    const isAccepted = new Promise<void>((resolve) => {
      this.#accepted = resolve;
    });
    this.ended = this.#run();
    this.released = this.ended.then(() => this.#lettingGo);
    this.accepted = Promise.race([
      isAccepted,
      this.ended.then(() => {
        throw problemError(this.attempts.failure.error, { phase: this.record.phase, peer: 'source' });
      }),
    ]);
    this.accepted.catch(() => undefined);
  }

  get outcome(): Outcome | undefined {
    return this.record.outcome;
  }

  get warnings(): Warning[] {
    return this.record.warnings;
  }

  get ownership(): Ownership | undefined {
    return this.attempts.ownership;
  }

  get enginePid(): number | undefined {
    return this.attempts.current?.engine.pid;
  }

  get guestIdentity(): { readonly type: GuestIdentity['type']; readonly pid?: number } {
    return this.#setup?.guest.identity() ?? { type: this.body.guest.type };
  }

  /** Ends the migration before the commit, whatever it is doing; after it, nothing changes. */
  fail(error: Error): void {
    this.attempts.fail(error);
  }

  /** Leaves pre-switchover. @throws ProblemError not-in-pre-switchover */
  continue(): void {
    if (this.#continue === undefined)
      throw new ProblemError('not-in-pre-switchover', `The migration is in phase ${this.record.phase}`);
    this.#continue();
  }

  setBandwidth(bytesPerSecond: number): void {
    if (this.record.phase === 'bulk' || this.record.phase === 'rounds')
      this.attempts.current?.engine.setBandwidth(bytesPerSecond);
  }

  async #run(): Promise<Outcome> {
    try {
      // Setup undoes itself when it is cancelled, so it is waited for rather than raced.
      const setup = await this.record.timed('setup', () => this.#setUp());
      this.#accepted();
      for (;;) {
        try {
          return await this.#migrate(setup);
        } catch (error) {
          await this.#interrupted(error);
        }
      }
    } catch (error) {
      return await this.#handleFailure(error);
    }
  }

  /** The phases, in their order. */
  async #migrate(setup: Setup): Promise<Outcome> {
    // It undoes itself when it is cancelled, as setup does.
    const attempt =
      this.attempts.current ?? (await this.record.timed('interrupted', () => this.attempts.next(setup)));
    const { ownership } = this.attempts.held;
    const { failure } = this.attempts;
    const facts = { ...setup, ...attempt, failure };
    await failure.race(this.tracking.startAttempt(trackedGuest(setup, ownership, failure)));
    if (!this.rounds.hasBulk) await this.#phase('bulk', () => this.rounds.bulk(facts));
    await this.#phase('rounds', () => this.rounds.iterate(facts));
    await this.#phase('pausing', () => pause(ownership, setup.guest, failure, () => this.record.paused()));
    await this.#phase('pre-switchover', () => this.#waitForContinue());
    // The operator's time in pre-switchover does not count.
    await within(this.settings.parameters['switchover-timeout'], failure, async () => {
      const state = await this.#phase('device-state', () => this.#saveDeviceState(setup));
      const { offered, proof } = await this.#phase('final-round', () =>
        finalRound(this.rounds, facts, state),
      );
      if (proof !== undefined) this.record.verified.push(proof);
      await this.#phase('handover', () => this.#offer(ownership, offered));
    });
    await this.#phase('committed', () => awaitRunning(ownership));
    this.record.running();
    return await this.#end('completed');
  }

  async #phase<T>(name: Phase, work: () => Promise<T>): Promise<T> {
    return this.record.timed(name, () => this.attempts.failure.race(work()));
  }

  async #setUp(): Promise<Setup> {
    const { id, body, settings } = this;
    await this.#context.previousReleased;
    const setup = await setUp(id, body, settings, this.#context, this.#guestIdentity);
    this.#setup = setup;
    this.statistics.totalBytes = setup.images.sizeBytes;
    this.rounds.blockIds = setup.images.blocks.map((block) => block.id);
    this.record.warnings.push(...setup.warnings);
    await this.tracking.prepare(setup.images.blocks.map(({ image }) => image));
    const attempt = await this.attempts.begin(setup);
    if (attempt !== undefined && !this.tracking.mayOmitFinalScan)
      this.record.warnings.push(...scanWarnings(attempt.probe, setup));
    this.record.setUp();
    return setup;
  }

  async #waitForContinue(): Promise<void> {
    if (!this.body.capabilities['pause-before-switchover']) return;
    await new Promise<void>((resolve) => {
      this.#continue = resolve;
    });
    this.#continue = undefined;
  }

  /** Saved before the final round, because that may write RAM. */
  async #saveDeviceState({ guest }: Setup): Promise<DeviceState | null> {
    const { state, ms } = await this.attempts.failure.unlessFailed(saveDeviceState(guest));
    if (state === null) return null;
    this.statistics.deviceStateMs = ms * 2;
    this.record.deviceState = { bytes: state.bytes.length, 'save-ms': ms };
    return state;
  }

  /** From here the handover decides; it ends in `committed`, or back in our hands. */
  async #offer(ownership: Ownership, facts: HandoverFacts): Promise<void> {
    await offer(ownership, facts);
    this.rounds.noteRoots(facts.round, facts.roots, facts.roots);
    this.record.verified.push('sent-equals-applied');
    if (this.settings.parameters['destination-reread']) this.record.verified.push('destination-reread');
  }

  /** Another attempt follows, or this throws. */
  async #interrupted(error: unknown): Promise<void> {
    const failedIn = this.record.phase;
    this.record.phase = 'interrupted';
    try {
      await this.attempts.interrupt(error, failedIn);
    } catch (cause) {
      this.record.phase = failedIn;
      throw cause;
    }
    this.#continue = undefined;
    this.record.startAttempt();
  }

  /** The one place where a failure is handled: the guest runs here again, or the destination is asked until we know. */
  async #handleFailure(error: unknown): Promise<Outcome> {
    const isCancelled = error instanceof Cancelled;
    const where = { phase: this.record.phase, peer: 'source' } as const;
    const problem = problemOf(error, where);
    this.attempts.failure.fail(problemError(error, where));
    this.record.phase = isCancelled ? 'cancelling' : 'aborting';
    this.#forgetRequest();
    const { ownership } = this;
    if (ownership === undefined) {
      this.tracking.release();
      this.#setup?.images.close();
      await this.#setup?.guest.close();
      return this.#settle(problem, isCancelled);
    }
    ownership.willResume = false;
    await ownership.deliver(isCancelled ? { type: 'cancel' } : { type: 'failed', reason: problem.detail });
    const state = await ownership.until(
      ({ phase }) => phase === 'rolled-back' || phase === 'committed' || phase === 'completed',
    );
    if (state.phase === 'rolled-back') {
      if (state.isPeerInformed && this.settings.parameters['reconnect-limit'] > 0)
        ownership.tellEnd(problem.detail);
      await this.attempts.current?.engine.kill();
      await waitAtMost(
        ABORT_ANSWER_MS,
        ownership.until((now) => now.phase === 'rolled-back' && now.isPeerInformed),
      );
      this.#release();
      return this.#settle(problem, isCancelled);
    }
    // Past the point of no return: what failed does not matter any more, only where the guest runs.
    this.record.phase = 'committed';
    const end = await ownership.until(({ phase }) => phase === 'completed' || phase === 'rolled-back');
    this.record.running();
    return end.phase === 'completed' ? this.#end('completed') : this.#end('failed', ownershipFailure(end));
  }

  /** The guest runs at the destination from the moment that this was heard: what is let go here does not delay the word. */
  async #end(outcome: Outcome, error?: ProblemError): Promise<Outcome> {
    if (outcome === 'completed' && this.#setup !== undefined)
      this.record.warnings.push(...(await leaveGuest(this.#setup.guest, this.body.guest, this.#logger)));
    this.#lettingGo = this.#letGo();
    if (outcome === 'completed') {
      const note = this.ownership?.note;
      if (note !== undefined) this.record.warnings.push({ name: 'guest', detail: note });
      const totalMs = this.record.completed();
      const { downtimeMs } = this.record;
      this.#logger.info({ totalMs, downtimeMs, rounds: this.rounds.current }, 'migration completed');
      return outcome;
    }
    await this.#lettingGo;
    return this.#settle(
      (error ?? new ProblemError('internal', 'the migration ended without a reason')).problem,
      false,
    );
  }

  /** From here on a restarted daemon does not go on with it. */
  #forgetRequest(): void {
    try {
      this.#context.requests.forget();
    } catch (error) {
      this.#logger.warn({ err: error }, 'a daemon that is started again may go on with this migration');
    }
  }

  async #letGo(): Promise<void> {
    await this.attempts.current?.engine.kill();
    this.#release();
  }

  /** Lets images, guard and an idle link go; the engine is ended before. */
  #release(): void {
    this.tracking.release();
    this.#setup?.images.close();
    void this.#setup?.guest.close();
    this.attempts.release();
  }

  #settle(problem: ProblemDetails, isCancelled: boolean): Outcome {
    const outcome = isCancelled ? 'cancelled' : 'failed';
    this.record.ended(outcome, problem);
    this.#logger[isCancelled ? 'info' : 'error']({ problem }, `migration ${outcome}`);
    return outcome;
  }
}
