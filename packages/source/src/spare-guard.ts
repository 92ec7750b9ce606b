/**
 * A guard process that is started before it is needed: starting one takes 0.1 s of a processor, which a setup
 * would feel. A guard that was taken belongs to its migration; the next one is started when that is over.
 */
import { fileURLToPath } from 'node:url';
import { startGuard, type Guard } from '@pageferry/handover';

const GUARD_ENTRY = fileURLToPath(new URL('./guard-main.js', import.meta.url));

type OnLost = (reason: string) => void;

export class SpareGuard {
  readonly #journalPath: string;
  #spare: { readonly guard: Guard; onLost: OnLost } | undefined;

  constructor(journalPath: string) {
    this.#journalPath = journalPath;
  }

  /** Starts a guard unless there is one. */
  prepare(): void {
    if (this.#spare !== undefined) return;
    const spare: { guard: Guard; onLost: OnLost } = {
      guard: startGuard({
        command: [process.execPath, GUARD_ENTRY, this.#journalPath],
        onLost: (reason) => spare.onLost(reason),
      }),
      onLost: () => {
        // Nobody relied on it yet: the next one to be taken is a new one.
        if (this.#spare === spare) this.#spare = undefined;
      },
    };
    this.#spare = spare;
  }

  /** An idle guard, from now on the caller's; its end that nobody asked for is told to `onLost`. */
  take(onLost: OnLost): Guard {
    this.prepare();
    const spare = this.#spare;
    if (spare === undefined) throw new TypeError('a guard was just prepared');
    this.#spare = undefined;
    spare.onLost = onLost;
    return spare.guard;
  }

  /** Ends the spare guard. */
  async stop(): Promise<void> {
    await this.#spare?.guard.stop();
    this.#spare = undefined;
  }
}
