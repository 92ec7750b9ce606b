/**
 * What the source says on the link in use, and what follows: a round is compared, a handover verified, an order delivered.
 * What comes of an attempt that has been replaced meanwhile is nobody's.
 */
import {
  HandoverError,
  type DestinationEvent,
  type DestinationState,
  type SourceOrder,
} from '@pageferry/handover';
import { ProblemError } from '@pageferry/protocol';
import type { Logger } from 'pino';
import type { IncomingAttempt } from './incoming-attempt.ts';
import type { DestinationLink, FromSource } from './session.ts';

/** The session, as the words act on it. */
export interface Addressee {
  /** The link in use; what comes on another one is ignored. */
  link(): DestinationLink | undefined;
  attempt(): IncomingAttempt | undefined;
  readonly state: DestinationState;
  deliver(event: DestinationEvent): Promise<DestinationState>;
  /** The source ends the attempt, for this reason. */
  aborted(outcome: Extract<FromSource, { type: 'abort' }>['outcome']): void;
  fail(error: unknown): Promise<void>;
  lost(link: DestinationLink, error: Error): Promise<void>;
}

export class SourceWords {
  readonly #session: Addressee;
  readonly #logger: Logger;

  constructor(session: Addressee, logger: Logger) {
    this.#session = session;
    this.#logger = logger;
  }

  async message(link: DestinationLink, message: FromSource, epoch: number): Promise<void> {
    const session = this.#session;
    if (session.link() !== link) return;
    switch (message.type) {
      case 'round-end':
        await this.#roundEnd(link, message, epoch);
        break;
      case 'handover':
        await this.#handover(message, epoch);
        break;
      case 'error':
        await session.fail(
          new ProblemError('protocol-violation', message.problem.detail, { peer: 'source' }),
        );
        break;
      case 'abort':
        session.aborted(message.outcome);
        await this.#order(link, message, epoch);
        break;
      case 'commit':
      case 'query':
        await this.#order(link, message, epoch);
        break;
    }
  }

  /** A piece of the guest's device state. */
  deviceState(link: DestinationLink, payload: Uint8Array): void {
    const session = this.#session;
    if (session.link() !== link) return;
    try {
      session.attempt()?.addDeviceState(payload);
    } catch (error) {
      void session.fail(error);
    }
  }

  /** What the source may not say now leaves the handover as it was and ends the link. */
  async #order(link: DestinationLink, message: SourceOrder, epoch: number): Promise<void> {
    try {
      await this.#session.deliver({ type: 'message', epoch, message });
    } catch (error) {
      if (!(error instanceof HandoverError) || !error.isPeerFault) throw error;
      link.close();
      await this.#session.lost(link, error);
    }
  }

  async #roundEnd(
    link: DestinationLink,
    { round, roots }: Extract<FromSource, { type: 'round-end' }>,
    epoch: number,
  ): Promise<void> {
    await this.#inAttempt(async (attempt) => {
      const answer = await attempt.endRound(round, roots);
      this.#logger.info({ round, matches: answer.matches }, 'round done');
      link.send({ type: 'round-result', round, ...answer, roots: [...answer.roots] }, epoch);
    });
  }

  async #handover(
    { round, roots, deviceState, runState, sourceRescanned }: Extract<FromSource, { type: 'handover' }>,
    epoch: number,
  ): Promise<void> {
    const session = this.#session;
    await this.#inAttempt(async (attempt) => {
      await attempt.verify({ round, roots, isRescanned: sourceRescanned }, deviceState);
      if (session.state.phase === 'receiving')
        await session.deliver({ type: 'handover-verified', epoch, runState });
    });
  }

  async #inAttempt(work: (attempt: IncomingAttempt) => Promise<void>): Promise<void> {
    const session = this.#session;
    const attempt = session.attempt();
    if (attempt === undefined) return;
    try {
      await work(attempt);
    } catch (error) {
      if (session.attempt() === attempt) await session.fail(error);
    }
  }
}
