/**
 * The one way in which a running attempt learns that it cannot go on: whatever it waits for is raced with this.
 * The first failure counts; later ones are consequences.
 */
export class Failure {
  readonly #promise: Promise<never>;
  #reject: (error: Error) => void = () => undefined;
  readonly #abort = new AbortController();
  #error: Error | undefined;

  constructor() {
    this.#promise = new Promise<never>((_, reject) => {
      this.#reject = reject;
    });
    // Nobody may be waiting when it fails; the next `race` tells.
    this.#promise.catch(() => undefined);
  }

  get error(): Error | undefined {
    return this.#error;
  }

  /** Aborted with the failure, for work that undoes itself. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  fail(error: Error): void {
    this.#error ??= error;
    this.#abort.abort(this.#error);
    this.#reject(this.#error);
  }

  /** The work's result, or the failure, whichever comes first. */
  async race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([this.#promise, work]);
  }

  /**
   * The work's result, or the failure if that came first, however late the work ends. For what is done step by step
   * inside of `race`: nobody waits for it any more then, and its next step would be taken in a newer attempt.
   */
  async unlessFailed<T>(work: Promise<T>): Promise<T> {
    const result = await work;
    if (this.#error !== undefined) throw this.#error;
    return result;
  }
}

/** Waits for something that is welcome but not needed. */
export async function waitAtMost(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}
