/**
 * One incoming migration at the destination, from POST /incoming to its end: where it listens, and who may connect.
 *
 * The one-time token buys a session (incoming-session.ts); from then on only the session's key opens connections.
 * The listener lives on after the end, and is there again after a restart, because a source may still ask.
 */
import { randomBytes } from 'node:crypto';
import {
  beginDestination,
  type DestinationState,
  type DestinationStep,
  type Session,
} from '@pageferry/handover';
import { problemOf } from '@pageferry/management';
import type { ImageSet } from '@pageferry/memory';
import {
  checkProof,
  describeProblem,
  PENDING_CONNECTIONS_MAX,
  ProblemError,
  resolveProof,
  uuidOf,
  type Hello,
  type HelloResolve,
  type HelloStart,
  type ProblemDetails,
  type TcpAddress,
} from '@pageferry/protocol';
import { endProcess, Listener, type Arrival } from '@pageferry/transport';
import { checkHello } from './hello-check.ts';
import { openDestinationImages } from './images.ts';
import { journaledSession, type Armed, type IncomingContext } from './incoming-context.ts';
import { IncomingSession } from './incoming-session.ts';
import { Receiving } from './receiving.ts';
import { reject, takeControl, type DestinationLink } from './session.ts';
import type { SettledAnswer } from './settled-answers.ts';
import { answerSettled, welcomeSettled } from './settled-link.ts';

export class Incoming {
  readonly token = randomBytes(24).toString('base64url');
  readonly armed: Armed | undefined;
  readonly startedMs = performance.now();
  cacheCeilingBytes: number;
  session: IncomingSession | undefined;

  readonly #context: IncomingContext;
  #listener: Listener | undefined;
  #isAccepting = false;
  /** Resolves when every hello that came was accepted or rejected. */
  #considered: Promise<unknown> = Promise.resolve();
  /** When it was given up before a source came. */
  #disarmedMs: number | undefined;
  /** Control connections without a hello. */
  readonly #strangers = new Set<Arrival>();
  /** Sources that ask about an earlier session. */
  readonly #asking = new Map<DestinationLink, SettledAnswer>();

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

  /** Goes on with a handover that an earlier life of the daemon began; pages that were being received are lost. */
  async resume(journaled: Session, first: DestinationStep): Promise<void> {
    const facts = {
      sessionId: Buffer.from(journaled.sessionId, 'hex'),
      sessionKey: Buffer.from(journaled.sessionKey, 'hex'),
      epoch: first.state.epoch,
    };
    const endEngine = (): Promise<void> => endProcess(journaled.engine);
    this.session = new IncomingSession({
      ...this.#context,
      facts,
      first,
      receiving: undefined,
      guest: undefined,
      endEngine,
    });
    await this.session.begin();
    await this.session.fail(new Error('the destination daemon was restarted'));
  }

  /** Where it listens, with the real port. */
  get address(): TcpAddress | undefined {
    if (this.#listener === undefined) return undefined;
    const { address: host, port } = this.#listener.address;
    return { host, port };
  }

  /** The migration's id, once a source has come. */
  get id(): string | undefined {
    if (this.session === undefined) return undefined;
    return uuidOf(Buffer.from(this.session.facts.sessionId).toString('hex'));
  }

  get state(): DestinationState | undefined {
    return this.session?.state;
  }

  get endedMs(): number | undefined {
    return this.session?.endedMs ?? this.#disarmedMs;
  }

  get isCancelled(): boolean {
    return this.session?.isCancelled ?? this.#disarmedMs !== undefined;
  }

  get problem(): ProblemDetails | undefined {
    if (this.#disarmedMs === undefined) return this.session?.problem;
    return describeProblem('cancelled', 'The operator aborted the migration', { peer: 'destination' });
  }

  /** Whether another migration can be armed: this one cannot change anything any more. */
  get isOver(): boolean {
    const phase = this.state?.phase;
    return this.endedMs !== undefined || phase === 'running' || phase === 'aborted' || phase === 'refused';
  }

  /** The ceiling of the source's cache; told to it at once. */
  setCacheCeiling(bytes: number): void {
    this.cacheCeilingBytes = bytes;
    this.session?.tellCacheCeiling(bytes);
  }

  /** The operator's word that the source is gone for good. @throws ProblemError past-point-of-no-return */
  async abort(): Promise<void> {
    if (this.session !== undefined) {
      await this.session.abort();
      return;
    }
    this.#disarmedMs = performance.now();
    await this.close();
    // A hello that is being considered holds the images until it has found that it comes too late.
    await this.#considered;
  }

  /** Stops listening and lets the link go; what was promised stays in the journal. */
  async close(): Promise<void> {
    this.#listener?.close();
    this.#listener = undefined;
    await this.session?.close();
  }

  #arrived(arrival: Arrival): void {
    try {
      if (arrival.preamble.kind === 'control') {
        this.#takeStranger(arrival);
        return;
      }
      const receiving = this.session?.receiving;
      if (receiving === undefined) {
        throw new ProblemError('not-armed', 'No session takes data connections', { peer: 'destination' });
      }
      receiving.connect(arrival);
    } catch (error) {
      this.#context.logger.warn({ err: error, remote: arrival.remoteAddress }, 'connection refused');
      arrival.refuse();
    }
  }

  #takeStranger(arrival: Arrival): void {
    if (this.#strangers.size >= PENDING_CONNECTIONS_MAX)
      throw new Error('too many connections without a hello');
    this.#strangers.add(arrival);
    takeControl(arrival, this.#context.parameters['hello-timeout'], {
      hello: (link, hello, epoch, version) => {
        this.#strangers.delete(arrival);
        if (Buffer.compare(hello.sessionId, arrival.preamble.sessionId) !== 0) {
          throw new ProblemError('protocol-violation', 'hello is of another session than its connection');
        }
        this.#considered = Promise.all([this.#considered, this.#hello(link, hello, epoch, version)]);
      },
      message: (link, message, epoch) => {
        const settled = this.#asking.get(link);
        if (settled === undefined) void this.session?.message(link, message, epoch);
        else answerSettled(link, settled);
      },
      lost: (link, error) => {
        this.#strangers.delete(arrival);
        this.#asking.delete(link);
        void this.session?.lost(link, error);
      },
    });
  }

  async #hello(link: DestinationLink, hello: Hello, epoch: number, version: number): Promise<void> {
    try {
      if (hello.purpose === 'start') await this.#start(link, hello, version);
      else await this.#resolve(link, hello, version);
    } catch (error) {
      this.#context.logger.warn({ err: error }, 'hello rejected');
      reject(link, epoch, problemOf(error, { peer: 'destination' }));
    }
  }

  async #start(link: DestinationLink, hello: HelloStart, version: number): Promise<void> {
    const { armed } = this;
    if (armed === undefined || this.endedMs !== undefined) {
      throw new ProblemError('not-armed', 'No migration is armed here', { peer: 'destination' });
    }
    checkHello(hello, armed.body, this.token);
    if (this.session !== undefined || this.#isAccepting) {
      throw new ProblemError('migration-running', 'The token was used already', { peer: 'destination' });
    }
    this.#isAccepting = true;
    try {
      const { hostBootId, policy } = this.#context;
      const images = await openDestinationImages(armed.body.blocks, hello, hostBootId, policy);
      if (this.#listener === undefined) {
        images.close();
        throw new ProblemError('not-armed', 'The migration was given up meanwhile', { peer: 'destination' });
      }
      await this.#accept(link, hello, version, armed, images);
    } finally {
      this.#isAccepting = false;
    }
  }

  async #accept(
    link: DestinationLink,
    hello: HelloStart,
    version: number,
    armed: Armed,
    images: ImageSet,
  ): Promise<void> {
    const { takeEngine, journal } = this.#context;
    const sessionKey = randomBytes(16);
    const { sessionId, epoch } = hello;
    const process = takeEngine();
    try {
      const onFailure = (error: Error): void => void this.session?.fail(error);
      const receiving = new Receiving({ hello, images, sessionKey, process, onFailure });
      journal.useSession(journaledSession({ sessionId, sessionKey }, this.address, armed, receiving));
      this.session = new IncomingSession({
        ...this.#context,
        facts: { sessionId, sessionKey, epoch },
        first: beginDestination(epoch),
        receiving,
        guest: armed.guest,
        endEngine: () => receiving.engine.kill(),
      });
      await this.session.begin();
      const { state } = this.session;
      if (state.phase === 'aborted')
        throw new ProblemError('journal-failed', state.reason, { peer: 'destination' });
    } catch (error) {
      this.session = undefined;
      await process.kill();
      images.close();
      throw error;
    }
    const xbzrleCacheCeilingBytes = this.cacheCeilingBytes;
    await this.session.attach(link, {
      type: 'welcome',
      purpose: 'start',
      version,
      sessionKey,
      xbzrleCacheCeilingBytes,
    });
  }

  /** A source that lost its connection asks about, or finishes, a handover. */
  async #resolve(link: DestinationLink, hello: HelloResolve, version: number): Promise<void> {
    const { session } = this;
    if (session === undefined || Buffer.compare(session.facts.sessionId, hello.sessionId) !== 0) {
      const settled = this.#context.settled.find(hello.sessionId);
      if (settled !== undefined) {
        welcomeSettled(link, hello, version, settled, this.#context.parameters);
        this.#asking.set(link, { ...settled, epoch: hello.epoch });
        return;
      }
      throw new ProblemError('migration-unknown', 'That session is not known here', { peer: 'destination' });
    }
    checkProof(hello.proof, resolveProof({ ...session.facts, epoch: hello.epoch }), 'hello');
    const { state } = session;
    const reason = 'reason' in state ? { reason: state.reason } : {};
    await session.attach(link, {
      type: 'welcome',
      purpose: 'resolve',
      version,
      phase: state.phase,
      ...reason,
    });
  }
}
