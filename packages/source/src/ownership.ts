/**
 * Who owns the guest, carried through at the source: the handover's executor, the control link that its messages
 * travel on, and the reconnecting that it needs to come to an end.
 *
 * It outlives the migration that began it: a commit is asked about until the answer is known, an abort is told
 * until the destination has heard it. After a restart of the daemon it is made from the journal alone.
 */
import {
  boundedReason,
  HandoverError,
  helloEpochs,
  mayStartEpoch,
  sourceExecutor,
  sourceNeedsPeer,
  type HelloEpochs,
  type Report,
  type RunState,
  type SourceEvent,
  type SourceExecutor,
  type SourcePorts,
  type SourceState,
  type SourceStep,
} from '@pageferry/handover';
import { ProblemError, problemName, type AbortOutcome, type TcpAddress } from '@pageferry/protocol';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ownershipFailure } from './migration-errors.ts';
import {
  askSession,
  type FromDestination,
  type LinkTimes,
  type SessionKey,
  type SourceLink,
} from './session.ts';

/** Reconnecting starts with the first of these pauses and doubles up to the second. */
const RECONNECT_FIRST_MS = 100;
const RECONNECT_LONGEST_MS = 2000;
/** Time after which an unanswered commit is said again. */
const COMMIT_REPEAT_MS = 5000;
/** How long after trouble (a guest that does not resume, a journal that cannot be written) it is tried again. */
const RETRY_MS = 1000;

/** What only the migration knows and the handover message carries. */
export interface HandoverFacts {
  readonly round: number;
  readonly roots: readonly Uint8Array[];
  /** Everything was scanned after the pause. */
  readonly sourceRescanned: boolean;
  /** Of the device state that was sent before; absent where the guest has none. */
  readonly deviceState: { readonly sizeBytes: number; readonly sha256: Uint8Array } | undefined;
}

export interface OwnershipOptions {
  readonly first: SourceStep;
  readonly address: TcpAddress;
  readonly session: SessionKey;
  readonly times: LinkTimes;
  /** Everything that the handover acts on but the link and the reports, which are handled here. */
  readonly ports: Omit<SourcePorts, 'send' | 'report'>;
  readonly logger: Logger;
}

export type HandoverAnswer = Extract<FromDestination, { type: 'ready' | 'running' | 'refused' | 'aborted' }>;

export class Ownership {
  readonly #options: OwnershipOptions;
  readonly #executor: SourceExecutor;
  readonly #stopped = new AbortController();
  readonly #waiters = new Set<() => void>();
  #link: SourceLink | undefined;
  #facts: HandoverFacts | undefined;
  #isReconnecting = false;
  #conflict: string | undefined;
  #note: string | undefined;
  /** The migration means to go on with a newer epoch: until then the destination is not asked about the old one. */
  #willResume = false;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    // A commit that is not answered on a link that lives is said again: the destination may have had trouble with it.
    const repeat = setInterval(() => {
      if (this.state.phase === 'committed' && this.isConnected) void this.deliver({ type: 'retry' });
    }, COMMIT_REPEAT_MS);
    repeat.unref();
    this.#stopped.signal.addEventListener('abort', () => clearInterval(repeat));
    this.#executor = sourceExecutor(options.first, {
      ...options.ports,
      send: (epoch, message) => this.#send(epoch, message),
      report: (report) => this.#report(report),
    });
  }

  get state(): SourceState {
    return this.#executor.state;
  }

  /** Whether the control link is down and being connected again. */
  get isReconnecting(): boolean {
    return this.#isReconnecting;
  }

  /** Whether the destination is connected. */
  get isConnected(): boolean {
    return this.#link?.isOpen === true;
  }

  /** That both sides say that they own the guest, in words; only the operator can end it. */
  get conflict(): string | undefined {
    return this.#conflict;
  }

  /** What the destination finds odd about the guest that runs there, in words. */
  get note(): string | undefined {
    return this.#note;
  }

  /** Carries out the first step; without a link, connects if the handover needs its peer. */
  async begin(link: SourceLink | undefined): Promise<void> {
    this.#link = link;
    await this.#executor.begin(this.#options.first.effects);
    this.#changed();
    if (link === undefined) void this.#reconnect();
  }

  /** Whether a newer epoch is to follow what was rolled back. Without one the destination is told that it is over. */
  set willResume(willResume: boolean) {
    this.#willResume = willResume;
  }

  /** A newer epoch, on record before hello says it. @throws ProblemError where the journal cannot be written */
  async startEpoch(): Promise<HelloEpochs> {
    this.#link?.close();
    this.#link = undefined;
    await this.deliver({ type: 'epoch-started', epoch: this.state.epoch + 1 });
    if (this.state.phase !== 'precopy')
      throw new ProblemError('journal-failed', 'The next attempt cannot be journaled');
    return helloEpochs(this.state);
  }

  /** The link of the epoch that was started. */
  attach(link: SourceLink): void {
    this.#link = link;
  }

  /** Pauses the guest: resolves in `paused`, or in what a failure led to. */
  async pause(priorRunState: RunState): Promise<SourceState> {
    return this.deliver({ type: 'begin-switchover', priorRunState });
  }

  /**
   * Pauses the guest for `work` and lets it go on, guarded as in the switchover: whatever dies meanwhile, it runs again.
   * @throws ProblemError where the guest could not be paused or let go; what `work` throws, once the guest runs
   */
  async pulse(priorRunState: RunState, work: () => Promise<void>): Promise<void> {
    const paused = await this.pause(priorRunState);
    if (paused.phase !== 'paused') throw ownershipFailure(paused);
    try {
      await work();
    } finally {
      await this.deliver({ type: 'end-pulse' });
    }
    const state = await this.until(({ phase }) => phase !== 'going-on');
    if (state.phase !== 'precopy') throw ownershipFailure(state);
  }

  /** Offers the guest: the final round was sent after the pause. */
  async offer(facts: HandoverFacts): Promise<SourceState> {
    this.#facts = facts;
    return this.deliver({ type: 'final-round-done' });
  }

  async deliver(event: SourceEvent): Promise<SourceState> {
    const state = await this.#executor.deliver(event);
    this.#changed();
    if (!this.isConnected) void this.#reconnect();
    return state;
  }

  /** An answer of the destination about the handover. A peer's fault counts as a failure, not as an answer. */
  async answered(message: HandoverAnswer, epoch: number): Promise<void> {
    if (message.type === 'running') this.#note = message.note;
    try {
      await this.deliver({ type: 'message', epoch, message });
    } catch (error) {
      if (!(error instanceof HandoverError) || !error.isPeerFault) throw error;
      this.#options.logger.warn({ err: error }, 'the destination broke the handover protocol');
      await this.deliver({ type: 'failed', reason: error.message });
    }
  }

  /** The link is over; in a phase that needs the peer, connecting begins. */
  async linkLost(error: Error): Promise<void> {
    this.#link = undefined;
    await this.deliver({ type: 'link-lost', reason: error.message });
  }

  /** A destination that gave up by itself waits for another attempt: it hears, if it still does, that none follows. */
  tellEnd(reason: string): void {
    const { phase, epoch } = this.state;
    if (phase === 'rolled-back') this.#send(epoch, { type: 'abort', reason: boundedReason(reason) });
  }

  /** Resolves with the state once it satisfies `condition`. */
  async until(condition: (state: SourceState) => boolean): Promise<SourceState> {
    while (!condition(this.state)) {
      await new Promise<void>((resolve) => {
        this.#waiters.add(resolve);
      });
    }
    return this.state;
  }

  /** Closes the link of a migration that is over; what is still owed to the destination is told on a new one. */
  releaseLink(): void {
    this.#link?.close();
    this.#link = undefined;
    void this.#reconnect();
  }

  /** Stops reconnecting and closes the link; the journal keeps what is owed. */
  async close(): Promise<void> {
    this.#stopped.abort(new Error('the daemon is ending'));
    await this.#executor.idle();
    this.#link?.close();
    this.#link = undefined;
  }

  async #reconnect(): Promise<void> {
    if (this.#isReconnecting) return;
    this.#isReconnecting = true;
    const { logger, address, session, times } = this.#options;
    const { signal } = this.#stopped;
    let pauseMs = RECONNECT_FIRST_MS;
    while (!signal.aborted && !this.isConnected && this.#needsPeer) {
      try {
        const handler = {
          message: (message: FromDestination, epoch: number) => void this.#message(message, epoch),
          lost: (error: Error) => void this.linkLost(error),
        };
        const epochs = helloEpochs(this.state);
        const { link } = await askSession(address, session, epochs, times, handler, signal);
        if (this.isConnected || !this.#needsPeer) {
          link.close();
          break;
        }
        this.#link = link;
        await this.deliver({ type: 'link-restored' });
      } catch (error) {
        if (await this.#isForgotten(error)) break;
        logger.debug({ err: error }, 'the destination does not answer yet');
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
        pauseMs = Math.min(pauseMs * 2, RECONNECT_LONGEST_MS);
      }
    }
    this.#isReconnecting = false;
    this.#changed();
  }

  /** The destination keeps what it has if another attempt follows. */
  get #abortOutcome(): AbortOutcome {
    if (this.#willResume) return 'interrupted';
    return 'cause' in this.state && this.state.cause.code === 'cancelled' ? 'cancelled' : 'failed';
  }

  get #needsPeer(): boolean {
    return sourceNeedsPeer(this.state) && !(this.#willResume && mayStartEpoch(this.state));
  }

  /** A destination that rejects the session has no guest of it: a rollback owes it nothing any more. */
  async #isForgotten(error: unknown): Promise<boolean> {
    const { phase, epoch } = this.state;
    const isUnknown =
      error instanceof ProblemError && problemName(error.problem.type) === 'migration-unknown';
    if (!isUnknown || (phase !== 'rolled-back' && phase !== 'resuming')) return false;
    await this.deliver({ type: 'message', epoch, message: { type: 'aborted', reason: error.message } });
    return true;
  }

  async #message(message: FromDestination, epoch: number): Promise<void> {
    switch (message.type) {
      case 'ready':
      case 'running':
      case 'refused':
      case 'aborted':
        await this.answered(message, epoch);
        break;
      case 'error':
        this.#options.logger.warn({ problem: message.problem }, 'the destination reports an error');
        break;
      case 'round-result':
      case 'cache-ceiling':
        break;
    }
  }

  #send(epoch: number, message: Parameters<SourcePorts['send']>[1]): void {
    if (message.type === 'abort') {
      this.#link?.send({ ...message, outcome: this.#abortOutcome }, epoch);
      return;
    }
    if (message.type !== 'handover') {
      this.#link?.send(message, epoch);
      return;
    }
    if (this.#facts === undefined) throw new TypeError('a handover has roots');
    const { round, roots, sourceRescanned, deviceState } = this.#facts;
    const facts = { round, roots: [...roots], ...(deviceState === undefined ? {} : { deviceState }) };
    this.#link?.send({ ...message, ...facts, sourceRescanned }, epoch);
  }

  #report(report: Report): void {
    const { logger } = this.#options;
    switch (report.outcome) {
      case 'completed':
        logger.info('the guest runs at the destination');
        break;
      case 'rolled-back':
        logger.info({ cause: report.cause }, 'the guest stays at the source');
        break;
      case 'trouble':
        logger.error({ reason: report.reason }, 'trouble in the handover; trying again');
        setTimeout(() => void this.deliver({ type: 'retry' }), RETRY_MS).unref();
        break;
      case 'two-owners':
        this.#conflict = report.reason;
        logger.error({ reason: report.reason }, 'two owners of one guest: end one of them');
        break;
      default:
        logger.warn({ report }, 'handover');
        break;
    }
  }

  #changed(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }
}
