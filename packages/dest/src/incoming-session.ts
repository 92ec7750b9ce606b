/**
 * A session at the destination, from an accepted hello to its end: the link in use, what the source says on it, and
 * what follows for pages and guest.
 *
 * Rounds are compared and a handover is verified here, before anything is prepared. The newest proven link is the
 * one in use; what comes on an older one is ignored. After a restart there are no pages, only the handover.
 */
import {
  enterEpoch,
  type DestinationRecord,
  type DestinationState,
  type DestinationStep,
  type HelloEpochs,
  type Journal,
} from '@pageferry/handover';
import { problemOf, toWire } from '@pageferry/management';
import {
  describeProblem,
  ProblemError,
  type DeviceStateStatus,
  type IncomingParameters,
  type ProblemDetails,
  type WelcomeResolve,
  type WelcomeResume,
  type WelcomeStart,
} from '@pageferry/protocol';
import { TransportError } from '@pageferry/transport';
import type { Logger } from 'pino';
import type { IncomingAttempt } from './incoming-attempt.ts';
import type { OpenedGuest } from './opened-guest.ts';
import { Ownership } from './ownership.ts';
import type { Receiving } from './receiving.ts';
import type { DestinationLink } from './session.ts';
import { SourceWords, type Addressee } from './source-words.ts';
import { checkTakenOver, checkTakeover } from './takeover.ts';

/** The key and the ids by which later connections prove themselves. */
export interface SessionFacts {
  readonly sessionId: Uint8Array;
  readonly sessionKey: Uint8Array;
  /** The source comes back with a newer epoch if an attempt fails before the commit. */
  readonly isResumable: boolean;
}

export interface IncomingSessionOptions {
  readonly facts: SessionFacts;
  readonly first: DestinationStep;
  /** Absent after a restart. */
  readonly attempt: IncomingAttempt | undefined;
  readonly journal: Journal<DestinationRecord>;
  readonly opened: OpenedGuest;
  readonly endEngine: () => Promise<void>;
  readonly parameters: IncomingParameters;
  readonly logger: Logger;
}

/** In these a guest was prepared, and what becomes of it is open. */
export const OPEN_PHASES: ReadonlySet<DestinationState['phase']> = new Set([
  'preparing',
  'prepared',
  'starting',
  'destroying',
]);

export class IncomingSession {
  readonly facts: SessionFacts;
  readonly startedMs = performance.now();
  endedMs: number | undefined;
  problem: ProblemDetails | undefined;
  isCancelled = false;
  readonly #ownership: Ownership;
  #attempt: IncomingAttempt | undefined;
  /** Of the attempts before this one. */
  #earlierCoverage = 0;
  /** An attempt before this one may have written. */
  #hasWrittenBefore: boolean;
  /** No other attempt is to follow, as far as anybody said. */
  #isFinal: boolean;
  /** The operator's word: no other attempt is taken. */
  #isGivenUp = false;
  /** Hears what the source says. */
  readonly words: SourceWords;
  readonly #opened: OpenedGuest;
  readonly #parameters: IncomingParameters;
  readonly #logger: Logger;

  constructor(options: IncomingSessionOptions) {
    this.facts = options.facts;
    this.#attempt = options.attempt;
    this.#hasWrittenBefore = options.attempt === undefined;
    // What was over before a restart may have been told as the end; a source that comes back all the same is taken.
    this.#isFinal = options.first.state.phase === 'aborted';
    this.#opened = options.opened;
    this.#parameters = options.parameters;
    this.#logger = options.logger;
    this.#ownership = new Ownership({
      ...options,
      guest: () => this.#attempt?.guest,
      deviceState: () => this.#attempt?.deviceState ?? null,
      onChange: (state) => this.#changed(state),
    });
    this.words = new SourceWords(this.#addressee(), options.logger);
  }

  get state(): DestinationState {
    return this.#ownership.state;
  }

  get receiving(): Receiving | undefined {
    return this.#attempt?.receiving;
  }

  /** Share of memory that came at least once, 0 to 1; never goes back while the daemon runs. */
  get coverage(): number {
    return Math.max(this.#earlierCoverage, this.receiving?.coverage ?? 0);
  }

  /** Whether the images may be other than they were when this session began. */
  get hasWritten(): boolean {
    return this.#hasWrittenBefore || this.receiving?.mayHaveWritten === true;
  }

  /** An attempt has ended, and the source said that it comes back. Nothing of a guest is here. */
  get isInterrupted(): boolean {
    return this.state.phase === 'aborted' && this.facts.isResumable && !this.#isFinal;
  }

  /** Nothing of it goes on, nor comes back: the guest runs here, or was given up here. */
  get isOver(): boolean {
    const { phase } = this.state;
    return phase === 'running' || phase === 'refused' || (phase === 'aborted' && !this.isInterrupted);
  }

  /** The operator gave it up: a source that comes back is not taken. */
  get isGivenUp(): boolean {
    return this.#isGivenUp;
  }

  /** What is odd about a guest that runs. */
  get note(): string | null {
    return this.#ownership.note;
  }

  /** Whether the source is connected. */
  get isConnected(): boolean {
    return this.#ownership.link !== undefined;
  }

  /** Carries out the first step. */
  async begin(): Promise<void> {
    await this.#ownership.begin();
  }

  /**
   * Takes the newer epoch of a proven hello; the attempt before has ended.
   * @returns whether it was taken: a guest of the old epoch may not be proven dead, the journal not be written
   */
  async enterEpoch(hello: HelloEpochs): Promise<boolean> {
    const state = await enterEpoch((event) => this.#ownership.deliver(event), hello);
    if (state.phase !== 'receiving' || state.epoch !== hello.epoch) return false;
    this.#earlierCoverage = this.coverage;
    this.#hasWrittenBefore = this.hasWritten;
    this.#attempt = undefined;
    this.#isFinal = false;
    this.isCancelled = false;
    this.endedMs = undefined;
    this.problem = undefined;
    return true;
  }

  /** The pages of the epoch that was entered; false if it has ended meanwhile. */
  receive(epoch: number, attempt: IncomingAttempt): boolean {
    if (this.state.phase !== 'receiving' || this.state.epoch !== epoch) return false;
    this.#attempt = attempt;
    return true;
  }

  /** Ends link and engine, and lets images and guest go, so that another attempt can have them. */
  async endAttempt(): Promise<void> {
    this.#ownership.link?.close();
    this.#ownership.link = undefined;
    await this.letGo();
  }

  /** Ends the engine and lets the images go; the guest too, unless it is the handover's to start or to end. */
  async letGo(): Promise<void> {
    await this.receiving?.end();
    const { phase } = this.state;
    if (OPEN_PHASES.has(phase)) return;
    await this.#attempt?.guest.close();
    if (phase !== 'receiving') this.#opened.forget();
  }

  /** Welcomes a link whose hello was proven; it is the one in use from here on. */
  async attach(link: DestinationLink, welcome: WelcomeStart | WelcomeResume | WelcomeResolve): Promise<void> {
    const { epoch } = this.state;
    this.#ownership.link?.close();
    this.#ownership.link = link;
    link.accept(epoch);
    link.send(welcome, epoch);
    link.startPings(epoch, this.#parameters['ping-interval'], this.#parameters['ping-timeout']);
    if (welcome.purpose === 'resolve') await this.#ownership.deliver({ type: 'link-restored' });
    // It may have ended while its hello was considered, before anybody listened to that.
    if (!link.isOpen)
      await this.lost(link, new TransportError({ code: 'LINK_LOST', reason: 'it was closed' }));
  }

  /** Bytes of device state that came, and how long they took to load. */
  get deviceStateStatus(): DeviceStateStatus | undefined {
    const bytes = this.#attempt?.deviceStateBytes ?? 0;
    const { loadMs } = this.#ownership;
    return bytes === 0 ? undefined : { bytes, ...(loadMs === undefined ? {} : { 'load-ms': loadMs }) };
  }

  /** A link has ended: pages cannot go on, what was prepared waits. */
  async lost(link: DestinationLink, error: Error): Promise<void> {
    if (this.#ownership.link !== link) return;
    this.#ownership.link = undefined;
    await this.#ownership.deliver({ type: 'link-lost', reason: error.message });
    await this.fail(error);
  }

  /** The attempt cannot go on: the source learns the cause. Once prepared this changes nothing. */
  async fail(error: unknown): Promise<void> {
    if (this.state.phase !== 'receiving') return;
    const problem = problemOf(error, { phase: 'receiving', peer: 'destination' });
    this.problem ??= problem;
    this.#ownership.link?.send({ type: 'error', problem: toWire(problem, 'destination') }, this.state.epoch);
    await this.#ownership.deliver({ type: 'failed', reason: problem.detail });
  }

  /** The operator's word that the source is gone for good. @throws ProblemError past-point-of-no-return */
  async abort(): Promise<void> {
    const { phase } = this.state;
    if (phase === 'starting' || phase === 'running') {
      throw new ProblemError('past-point-of-no-return', `The guest is ${phase} here`, {
        peer: 'destination',
      });
    }
    this.isCancelled = true;
    this.#isFinal = true;
    this.#isGivenUp = true;
    const state = await this.#ownership.deliver({ type: 'operator-abort' });
    if (state.phase !== 'starting' && state.phase !== 'running') return;
    this.isCancelled = false;
    this.#isGivenUp = false;
    throw new ProblemError('past-point-of-no-return', `The guest is ${state.phase} here`, {
      peer: 'destination',
    });
  }

  /**
   * The operator's word that the source is gone for good and runs no guest: what was prepared is started. Resolves when
   * the guest runs, or was ordered to; again, if it was already.
   * @throws ProblemError nothing-to-take-over, peer-connected, journal-failed, guest-failed
   */
  async takeOver(): Promise<void> {
    checkTakeover(this.state, this.isConnected);
    const { phase } = this.state;
    checkTakenOver(await this.#ownership.deliver({ type: 'operator-takeover' }));
    if (phase !== 'starting' && phase !== 'running')
      this.#logger.warn('taken over by the operator: the source is said to be gone for good');
  }

  /** The ceiling of the source's cache. */
  tellCacheCeiling(bytes: number): void {
    this.#ownership.link?.send({ type: 'cache-ceiling', bytes }, this.state.epoch);
  }

  /** Ends what can be ended; what was promised stays in the journal. */
  async close(): Promise<void> {
    // A source that goes on after a cut goes on after this too, once the daemon is started again.
    const name = this.facts.isResumable ? 'link-lost' : 'cancelled';
    await this.fail(new ProblemError(name, 'The destination daemon is ending', { peer: 'destination' }));
    await this.#ownership.idle();
    this.#ownership.link?.close();
    await this.letGo();
  }

  #addressee(): Addressee {
    const ownership = this.#ownership;
    return {
      link: () => ownership.link,
      attempt: () => this.#attempt,
      get state() {
        return ownership.state;
      },
      deliver: (event) => ownership.deliver(event),
      aborted: (outcome) => {
        this.#isFinal = outcome !== 'interrupted';
        if (this.endedMs === undefined) this.isCancelled = outcome === 'cancelled';
      },
      fail: (error) => this.fail(error),
      lost: (link, error) => this.lost(link, error),
    };
  }

  #changed(state: DestinationState): void {
    switch (state.phase) {
      case 'running':
        this.endedMs ??= performance.now();
        void this.letGo();
        break;
      case 'aborted':
      case 'refused':
        if (!this.isInterrupted) this.endedMs ??= performance.now();
        this.problem ??= describeProblem(
          this.isCancelled ? 'cancelled' : state.phase === 'refused' ? 'guest-failed' : 'rolled-back',
          state.reason,
          { peer: 'destination' },
        );
        void this.letGo();
        break;
      default:
        break;
    }
  }
}
