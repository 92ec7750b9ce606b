/**
 * One process that is started before it is needed, because starting takes longer than a setup should. What was
 * taken belongs to whoever took it; one that died while it waited is replaced.
 */
export interface SpareOptions<T> {
  readonly start: () => T;
  readonly isAlive: (spare: T) => boolean;
  readonly end: (spare: T) => Promise<void>;
}

export class Spare<T> {
  readonly #options: SpareOptions<T>;
  #spare: T | undefined;

  constructor(options: SpareOptions<T>) {
    this.#options = options;
  }

  /** Starts one, unless one waits already. What cannot be started now is tried again, and fails, when it is taken. */
  prepare(): void {
    if (this.#spare !== undefined && this.#options.isAlive(this.#spare)) return;
    this.#spare = undefined;
    try {
      this.#spare = this.#options.start();
    } catch {
      // ENOMEM, say: a daemon that does not migrate goes on.
    }
  }

  /** One that is alive, now the caller's. */
  take(): T {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare !== undefined && this.#options.isAlive(spare) ? spare : this.#options.start();
  }

  /** Ends the one that waits. */
  async stop(): Promise<void> {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined) await this.#options.end(spare);
  }
}
