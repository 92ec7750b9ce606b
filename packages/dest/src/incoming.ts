/**
 * One incoming migration at the destination, from POST /incoming to its end: where it listens, and who may connect.
 *
 * The one-time token buys a session (incoming-session.ts); from then on only the session's key opens connections.
 * The listener lives on after the end, and is there again after a restart, because a source may still ask.
 */
import { randomBytes } from 'node:crypto';
import type { DestinationState, DestinationStep, Session } from '@pageferry/handover';
import {
  describeProblem,
  PENDING_CONNECTIONS_MAX,
  ProblemError,
  uuidOf,
  type ProblemDetails,
  type TcpAddress,
} from '@pageferry/protocol';
import { Listener, type Arrival } from '@pageferry/transport';
import { Admission } from './admission.ts';
import type { Armed, IncomingContext } from './incoming-context.ts';
import type { IncomingSession } from './incoming-session.ts';
import { reject, takeControl } from './session.ts';

export class Incoming {
  readonly token = randomBytes(24).toString('base64url');
  readonly armed: Armed | undefined;
  readonly startedMs = performance.now();
  cacheCeilingBytes: number;

  readonly #context: IncomingContext;
  #listener: Listener | undefined;
  /** Resolves when every hello that came was accepted or rejected. */
  #considered: Promise<unknown> = Promise.resolve();
  /** When it was given up before a source came. */
  #disarmedMs: number | undefined;
  /** Control connections without a hello. */
  readonly #strangers = new Set<Arrival>();
  readonly #admission: Admission;

  constructor(armed: Armed | undefined, context: IncomingContext, cacheCeilingBytes: number) {
    this.armed = armed;
    this.#context = context;
    this.cacheCeilingBytes = cacheCeilingBytes;
    this.#admission = new Admission({
      armed,
      context,
      token: this.token,
      address: () => this.address,
      cacheCeilingBytes: () => this.cacheCeilingBytes,
    });
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
  async recover(journaled: Session, first: DestinationStep): Promise<void> {
    await this.#admission.recover(journaled, first);
  }

  get session(): IncomingSession | undefined {
    return this.#admission.session;
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

  /** An attempt has ended, and the source said that it comes back. */
  get isInterrupted(): boolean {
    return this.session?.isInterrupted === true;
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
          const detail = 'hello is of another session than its connection';
          this.#context.logger.warn({ remote: arrival.remoteAddress }, detail);
          reject(link, epoch, describeProblem('protocol-violation', detail, { peer: 'destination' }));
          return;
        }
        const considered = this.#admission.hello(link, hello, epoch, version);
        this.#considered = Promise.all([this.#considered, considered]);
      },
      deviceState: (link, payload) => this.session?.words.deviceState(link, payload),
      message: (link, message, epoch) => this.#admission.message(link, message, epoch),
      lost: (link, error) => {
        this.#strangers.delete(arrival);
        this.#admission.lost(link, error);
      },
    });
  }
}
