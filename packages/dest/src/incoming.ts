/**
 * One incoming migration at the destination, from POST /incoming to its end: who may connect, and what is answered.
 *
 * The one-time token buys a session; from then on only the session's key opens connections. Pages are in
 * receiving.ts, the handover in ownership.ts; here is what stands between them. The listener lives on after the
 * end, and is there again after a restart, because a source may still ask.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingGuest } from '@pageferry/guest';
import {
  beginDestination,
  type DestinationRecord,
  type DestinationState,
  type DestinationStep,
  type Journal,
  type Session,
} from '@pageferry/handover';
import { problemOf, toWire } from '@pageferry/management';
import { processStartTime, type ImageSet } from '@pageferry/memory';
import {
  checkProof,
  describeProblem,
  formatTcpAddress,
  PENDING_CONNECTIONS_MAX,
  ProblemError,
  resolveProof,
  type Hello,
  type HelloResolve,
  type HelloStart,
  type IncomingBody,
  type IncomingParameters,
  type ProblemDetails,
  type TcpAddress,
  type Warning,
} from '@pageferry/protocol';
import { endProcess, Listener, type Arrival, type EngineProcess } from '@pageferry/transport';
import type { Logger } from 'pino';
import { checkHello } from './hello-check.ts';
import { openDestinationImages, type ImagePolicy } from './images.ts';
import { Ownership } from './ownership.ts';
import { Receiving } from './receiving.ts';
import { reject, takeControl, type DestinationLink, type FromSource } from './session.ts';

/** What POST /incoming armed; absent after a restart. */
export interface Armed {
  readonly body: IncomingBody;
  readonly guest: IncomingGuest;
  readonly warnings: readonly Warning[];
}

export interface IncomingContext {
  readonly logger: Logger;
  readonly journal: Journal<DestinationRecord>;
  readonly policy: ImagePolicy;
  /** An engine that is started and idle. */
  readonly takeEngine: () => EngineProcess;
  readonly hostBootId: string;
  readonly parameters: IncomingParameters;
}

/** The key and the ids by which later connections prove themselves. */
interface SessionFacts {
  readonly sessionId: Uint8Array;
  readonly sessionKey: Uint8Array;
  readonly epoch: number;
}

export class Incoming {
  readonly token = randomBytes(24).toString('base64url');
  readonly armed: Armed | undefined;
  readonly startedMs = performance.now();
  endedMs: number | undefined;
  problem: ProblemDetails | undefined;
  isCancelled = false;
  cacheCeilingBytes: number;
  receiving: Receiving | undefined;
  ownership: Ownership | undefined;

  readonly #context: IncomingContext;
  #listener: Listener | undefined;
  #session: SessionFacts | undefined;
  #isAccepting = false;
  /** Control connections without an accepted hello. */
  readonly #strangers = new Set<Arrival>();

  constructor(armed: Armed | undefined, context: IncomingContext, cacheCeilingBytes: number) {
    this.armed = armed;
    this.#context = context;
    this.cacheCeilingBytes = cacheCeilingBytes;
  }

  /** Begins to listen. @throws TransportError LISTEN_FAILED */
  async listen({ host, port }: TcpAddress): Promise<void> {
    this.#listener = await Listener.listen({
      host,
      port,
      onArrival: (arrival) => this.#arrived(arrival),
      onRefused: (error) => this.#context.logger.warn({ err: error }, 'connection refused'),
    });
  }

  /** Goes on with a handover that an earlier life of the daemon began. */
  async resume(session: Session, first: DestinationStep): Promise<void> {
    this.#session = {
      sessionId: Buffer.from(session.sessionId, 'hex'),
      sessionKey: Buffer.from(session.sessionKey, 'hex'),
      epoch: first.state.epoch,
    };
    this.#own(first, () => endProcess(session.engine));
    await this.ownership?.begin();
  }

  /** Where it listens, with the real port. */
  get address(): TcpAddress | undefined {
    if (this.#listener === undefined) return undefined;
    const { address: host, port } = this.#listener.address;
    return { host, port };
  }

  /** The migration's id, once a source has come. */
  get id(): string | undefined {
    if (this.#session === undefined) return undefined;
    const hex = Buffer.from(this.#session.sessionId).toString('hex');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }

  get state(): DestinationState | undefined {
    return this.ownership?.state;
  }

  /** Whether another migration can be armed: this one cannot change anything any more. */
  get isOver(): boolean {
    const phase = this.state?.phase;
    return this.endedMs !== undefined || phase === 'running' || phase === 'aborted' || phase === 'refused';
  }

  /** The ceiling of the source's cache; told to it at once. */
  setCacheCeiling(bytes: number): void {
    this.cacheCeilingBytes = bytes;
    if (this.#session !== undefined)
      this.ownership?.link?.send({ type: 'cache-ceiling', bytes }, this.#session.epoch);
  }

  /** The operator's word that the source is gone for good. @throws ProblemError past-point-of-no-return */
  async abort(): Promise<void> {
    const { ownership } = this;
    if (ownership === undefined) {
      await this.close();
      this.isCancelled = true;
      this.endedMs = performance.now();
      return;
    }
    if (ownership.state.phase === 'starting' || ownership.state.phase === 'running') {
      throw new ProblemError('past-point-of-no-return', `The guest is ${ownership.state.phase} here`, {
        peer: 'destination',
      });
    }
    this.isCancelled = true;
    await ownership.deliver({ type: 'operator-abort' });
  }

  /** Stops listening and lets the link go; what was promised stays in the journal. */
  async close(): Promise<void> {
    const isReceiving = this.state?.phase === 'receiving';
    if (isReceiving)
      await this.#fail(
        new ProblemError('cancelled', 'The destination daemon is ending', { peer: 'destination' }),
      );
    await this.ownership?.idle();
    this.ownership?.link?.close();
    this.#listener?.close();
    this.#listener = undefined;
    await this.receiving?.end();
  }

  #arrived(arrival: Arrival): void {
    const { logger, parameters } = this.#context;
    try {
      if (arrival.preamble.kind === 'control') {
        if (this.#strangers.size >= PENDING_CONNECTIONS_MAX)
          throw new Error('too many connections without a hello');
        this.#strangers.add(arrival);
        takeControl(arrival, parameters['hello-timeout'], {
          hello: (link, hello, epoch) => {
            this.#strangers.delete(arrival);
            void this.#hello(link, hello, epoch);
          },
          message: (link, message, epoch) => void this.#message(link, message, epoch),
          lost: (link, error) => {
            this.#strangers.delete(arrival);
            void this.#lost(link, error);
          },
        });
        return;
      }
      if (this.receiving === undefined)
        throw new ProblemError('not-armed', 'No session takes data connections', { peer: 'destination' });
      this.receiving.connect(arrival);
    } catch (error) {
      logger.warn({ err: error, remote: arrival.remoteAddress }, 'connection refused');
      arrival.refuse();
    }
  }

  async #hello(link: DestinationLink, hello: Hello, epoch: number): Promise<void> {
    try {
      if (hello.purpose === 'start') await this.#start(link, hello);
      else this.#resolve(link, hello);
    } catch (error) {
      this.#context.logger.warn({ err: error }, 'hello rejected');
      reject(link, epoch, problemOf(error, { peer: 'destination' }));
    }
  }

  async #start(link: DestinationLink, hello: HelloStart): Promise<void> {
    const { armed } = this;
    if (armed === undefined || this.endedMs !== undefined)
      throw new ProblemError('not-armed', 'No migration is armed here', { peer: 'destination' });
    checkHello(hello, armed.body, this.token);
    if (this.#session !== undefined || this.#isAccepting) {
      throw new ProblemError('migration-running', 'The token was used already', { peer: 'destination' });
    }
    this.#isAccepting = true;
    try {
      const images = await openDestinationImages(
        armed.body.blocks,
        hello,
        this.#context.hostBootId,
        this.#context.policy,
      );
      await this.#accept(link, hello, armed, images);
    } finally {
      this.#isAccepting = false;
    }
  }

  async #accept(link: DestinationLink, hello: HelloStart, armed: Armed, images: ImageSet): Promise<void> {
    const { journal, parameters } = this.#context;
    const sessionKey = randomBytes(16);
    const { sessionId, epoch } = hello;
    const process = this.#context.takeEngine();
    const receiving = new Receiving({
      hello,
      images,
      sessionKey,
      process,
      onFailure: (error) => void this.#fail(error),
    });
    this.receiving = receiving;
    this.#session = { sessionId, sessionKey, epoch };
    const { pid } = receiving.engine;
    const startTime = pid === undefined ? undefined : processStartTime(pid);
    journal.useSession({
      sessionId: Buffer.from(sessionId).toString('hex'),
      sessionKey: sessionKey.toString('hex'),
      address: formatTcpAddress(this.address ?? { host: '', port: 0 }),
      blocks: images.blocks.map(({ id, image }) => ({ id, path: image.path })),
      guest: { ...armed.body.guest },
      engine: pid === undefined || startTime === undefined ? null : { pid, startTime },
    });
    this.#own(beginDestination(epoch), () => receiving.engine.kill());
    await this.ownership?.begin();
    this.#attach(link);
    link.accept(epoch);
    link.send(
      {
        type: 'welcome',
        purpose: 'start',
        version: 1,
        sessionKey,
        xbzrleCacheCeilingBytes: this.cacheCeilingBytes,
      },
      epoch,
    );
    link.startPings(epoch, parameters['ping-interval'], parameters['ping-timeout']);
  }

  /** A source that lost its connection asks about, or finishes, a handover. */
  #resolve(link: DestinationLink, hello: HelloResolve): void {
    const { parameters } = this.#context;
    const session = this.#session;
    const state = this.state;
    if (
      session === undefined ||
      state === undefined ||
      Buffer.compare(session.sessionId, hello.sessionId) !== 0
    ) {
      throw new ProblemError('migration-unknown', 'That session is not known here', { peer: 'destination' });
    }
    checkProof(hello.proof, resolveProof({ ...session, epoch: hello.epoch }), 'hello');
    this.#attach(link);
    link.accept(session.epoch);
    const reason = 'reason' in state ? { reason: state.reason } : {};
    link.send(
      { type: 'welcome', purpose: 'resolve', version: 1, phase: state.phase, ...reason },
      session.epoch,
    );
    link.startPings(session.epoch, parameters['ping-interval'], parameters['ping-timeout']);
    void this.ownership?.deliver({ type: 'link-restored' });
  }

  /** The newest proven link is the one in use. */
  #attach(link: DestinationLink): void {
    if (this.ownership === undefined) return;
    this.ownership.link?.close();
    this.ownership.link = link;
  }

  #own(first: DestinationStep, endEngine: () => Promise<void>): void {
    this.ownership = new Ownership({
      first,
      journal: this.#context.journal,
      guest: this.armed?.guest,
      endEngine,
      logger: this.#context.logger,
      onChange: (state) => this.#changed(state),
    });
  }

  async #message(link: DestinationLink, message: FromSource, epoch: number): Promise<void> {
    const { ownership, receiving } = this;
    if (ownership === undefined || ownership.link !== link) return;
    switch (message.type) {
      case 'round-end': {
        const answer = await receiving?.compare(message.round, message.roots);
        if (answer !== undefined)
          link.send(
            { type: 'round-result', round: message.round, roots: [...answer.roots], matches: answer.matches },
            epoch,
          );
        break;
      }
      case 'handover':
        await this.#handover(message, epoch);
        break;
      case 'error':
        await this.#fail(new ProblemError('protocol-violation', message.problem.detail, { peer: 'source' }));
        break;
      case 'abort':
        if (!this.isOver) this.isCancelled = true;
        await ownership.order(message, epoch);
        break;
      case 'commit':
      case 'query':
        await ownership.order(message, epoch);
        break;
    }
  }

  async #handover(message: Extract<FromSource, { type: 'handover' }>, epoch: number): Promise<void> {
    const { ownership, receiving } = this;
    if (ownership === undefined || receiving === undefined) return;
    try {
      await receiving.verify(message.round, message.roots);
    } catch (error) {
      await this.#fail(error);
      return;
    }
    if (ownership.state.phase === 'receiving')
      await ownership.deliver({ type: 'handover-verified', epoch, runState: message.runState });
  }

  /** The attempt cannot go on: the source learns the cause. Once prepared this changes nothing. */
  async #fail(error: unknown): Promise<void> {
    const { ownership } = this;
    if (ownership?.state.phase !== 'receiving' || this.#session === undefined) return;
    const problem = problemOf(error, { phase: 'receiving', peer: 'destination' });
    this.problem ??= problem;
    ownership.link?.send({ type: 'error', problem: toWire(problem, 'destination') }, this.#session.epoch);
    await ownership.deliver({ type: 'failed', reason: problem.detail });
  }

  async #lost(link: DestinationLink, error: Error): Promise<void> {
    const { ownership } = this;
    if (ownership === undefined || ownership.link !== link) return;
    ownership.link = undefined;
    await ownership.deliver({ type: 'link-lost', reason: error.message });
    await this.#fail(error);
  }

  #changed(state: DestinationState): void {
    switch (state.phase) {
      case 'prepared':
        // Everything is applied: nothing may write into the image any more.
        void this.receiving?.engine.kill();
        break;
      case 'running':
        this.endedMs ??= performance.now();
        void this.receiving?.end();
        break;
      case 'aborted':
      case 'refused':
        this.endedMs ??= performance.now();
        this.problem ??= describeProblem(this.isCancelled ? 'cancelled' : 'guest-failed', state.reason, {
          peer: 'destination',
        });
        void this.receiving?.end();
        break;
      default:
        break;
    }
  }
}
