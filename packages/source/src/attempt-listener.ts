/**
 * What the destination and the engine say while an attempt lasts, and which of it ends the attempt.
 *
 * A data connection that is lost, here or there, is mostly the symptom of an engine's end: who knows more speaks up
 * first. What comes after the attempt has ended is nobody's.
 */
import { problemError } from '@pageferry/management';
import { ProblemError, problemType } from '@pageferry/protocol';
import type { AttemptEvents } from './attempt.ts';
import type { Counters } from './engine/counters.ts';
import type { Failure } from './failure.ts';
import { ownershipFailure } from './migration-errors.ts';
import type { HandoverAnswer, Ownership } from './ownership.ts';
import type { RoundResult } from './rounds.ts';
import { rejection, type FromDestination } from './session.ts';

/** How long a lost data connection may wait for its cause, which travels over the control connection. */
const CAUSE_WAIT_MS = 500;

export interface AttemptListenerOptions {
  readonly failure: Failure;
  /** False once another attempt has begun. */
  readonly isCurrent: () => boolean;
  readonly ownership: () => Ownership | undefined;
  /** The final round is out: that the destination closes the data connections is no failure then. */
  readonly isEnding: () => boolean;
  readonly onRoundResult: (result: RoundResult) => void;
  readonly onCacheCeiling: (bytes: number) => void;
  readonly onProgress: (counters: Counters, rssAnonBytes: number) => void;
}

export class AttemptListener implements AttemptEvents {
  readonly #options: AttemptListenerOptions;
  /** Why the destination gave up, which it says before it says that it did. */
  #reported: ProblemError | undefined;

  constructor(options: AttemptListenerOptions) {
    this.#options = options;
  }

  get signal(): AbortSignal {
    return this.#options.failure.signal;
  }

  readonly onMessage = (message: FromDestination, epoch: number): void => {
    if (!this.#options.isCurrent()) return;
    switch (message.type) {
      case 'round-result':
        this.#options.onRoundResult(message);
        break;
      case 'cache-ceiling':
        this.#options.onCacheCeiling(message.bytes);
        break;
      case 'error':
        this.#reported = rejection(message.problem);
        this.#lost(this.#reported);
        break;
      case 'ready':
      case 'running':
      case 'refused':
      case 'aborted':
        void this.#answered(message, epoch);
        break;
    }
  };

  readonly onLinkLost = (error: Error): void => {
    if (!this.#options.isCurrent()) return;
    const ownership = this.#options.ownership();
    if (ownership === undefined) this.#fail(error);
    else void ownership.linkLost(error).then(() => this.#fail(problemError(error)));
  };

  readonly onFailure = (error: Error): void => {
    if (!this.#options.isCurrent()) return;
    const problem = problemError(error);
    const isExpected = this.#options.isEnding() && problem.problem.type === problemType('link-lost');
    if (!isExpected) this.#lost(problem);
  };

  readonly onProgress = (counters: Counters, rssAnonBytes: number): void => {
    if (this.#options.isCurrent()) this.#options.onProgress(counters, rssAnonBytes);
  };

  /** Where the destination gave up by itself, what the attempt waits for will not come. */
  async #answered(message: HandoverAnswer, epoch: number): Promise<void> {
    const ownership = this.#options.ownership();
    if (ownership !== undefined) {
      await ownership.answered(message, epoch);
      const { state } = ownership;
      if (state.phase === 'rolled-back' || state.phase === 'resuming')
        this.#lost(this.#reported ?? ownershipFailure(state));
    } else if (message.type === 'aborted') {
      this.#lost(this.#reported ?? new ProblemError('rolled-back', message.reason, { peer: 'destination' }));
    }
  }

  #lost(error: ProblemError): void {
    if (error.problem.type === problemType('link-lost')) setTimeout(() => this.#fail(error), CAUSE_WAIT_MS);
    else this.#fail(error);
  }

  #fail(error: Error): void {
    this.#options.failure.fail(error);
  }
}
