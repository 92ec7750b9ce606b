// Runs a state machine: one event at a time, its effects in order, their outcomes before the next event from outside.
// Invariant: what the model explores is what happens here. An effect that answers with an event ends its list; that
// event is stepped at once, so nothing from outside gets between an order and its outcome.
import type { Step } from './effects.ts';

/** What an executor needs. `perform` carries out one effect and resolves to the event that answers it, or null. */
export interface ExecutorOptions<S, E, F> {
  readonly state: S;
  readonly step: (state: S, event: E) => Step<S, F>;
  /** Expected failures are events; a rejection is a bug, and the executor refuses everything after it. */
  readonly perform: (effect: F) => Promise<E | null>;
}

/** One side's handover, running. `S`, `E`, `F`: its states, events and effects. */
export class Executor<S, E, F> {
  readonly #step: ExecutorOptions<S, E, F>['step'];
  readonly #perform: ExecutorOptions<S, E, F>['perform'];
  #state: S;
  #last: Promise<unknown> = Promise.resolve();
  #bug: { readonly error: unknown } | null = null;

  constructor({ state, step, perform }: ExecutorOptions<S, E, F>) {
    this.#state = state;
    this.#step = step;
    this.#perform = perform;
  }

  /** The state now; effects of the last transition may still be running. */
  get state(): S {
    return this.#state;
  }

  /** Carries out the effects that came with the first state (`beginSource`, `recoverSource`, …). Call it first, once. */
  begin(effects: readonly F[]): Promise<S> {
    return this.#enqueue(() => this.#run(effects));
  }

  /**
   * Delivers an event from outside; resolves to the state after all of its effects and their outcomes.
   * @throws {HandoverError} a peer's fault: the state is unchanged, and the executor goes on. Anything else: it ends.
   */
  deliver(event: E): Promise<S> {
    return this.#enqueue(() => {
      const { state, effects } = this.#step(this.#state, event);
      this.#state = state;
      return this.#run(effects);
    });
  }

  /** Resolves when everything delivered so far is done, whatever came of it. */
  async idle(): Promise<void> {
    await this.#last;
  }

  #enqueue(work: () => Promise<void>): Promise<S> {
    const done = this.#last.then(async () => {
      if (this.#bug !== null) throw this.#bug.error;
      await work();
      return this.#state;
    });
    this.#last = done.catch(() => null);
    return done;
  }

  async #run(effects: readonly F[]): Promise<void> {
    try {
      let rest = effects;
      while (rest.length > 0) rest = await this.#runList(rest);
    } catch (error) {
      this.#bug = { error };
      throw error;
    }
  }

  /** @returns the effects of the transition that the first outcome led to, none if all were done in silence. */
  async #runList(effects: readonly F[]): Promise<readonly F[]> {
    for (const effect of effects) {
      const outcome = await this.#perform(effect);
      if (outcome === null) continue;
      const next = this.#step(this.#state, outcome);
      this.#state = next.state;
      return next.effects;
    }
    return [];
  }
}
