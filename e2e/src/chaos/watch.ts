/**
 * Looks again and again at which of a guest's processes run. The log tells doubles more surely; this one also sees an
 * instance that runs without writing.
 */
import { PATIENCE } from '@pageferry/scripts/harness';
import { runningGuestProcesses, type Instance, type Site } from '../whereabouts.ts';

const SAMPLE_MS = 40 * PATIENCE;

export class DoubleWatch {
  readonly #site: Site;
  readonly #timer: NodeJS.Timeout;
  readonly #problems = new Set<string>();

  constructor(site: Site) {
    this.#site = site;
    this.#timer = setInterval(() => this.#look(), SAMPLE_MS);
  }

  /** Ends the watch. In words what was seen; empty if there was one guest at most. */
  end(): readonly string[] {
    clearInterval(this.#timer);
    return [...this.#problems];
  }

  /**
   * A look is no instant, and the guest moves. But a move is never undone while its process lives, so seeing it on both
   * sides twice, in the same processes, is a proof.
   */
  #look(): void {
    const first = runningGuestProcesses(this.#site);
    if (!isOnBothSides(first)) return;
    const pids = new Set(first.map(({ pid }) => pid));
    const again = runningGuestProcesses(this.#site).filter(({ pid }) => pids.has(pid));
    if (isOnBothSides(again))
      this.#problems.add(`double: ${again.map(({ instance, pid }) => `${instance} ${pid}`).join(', ')} run`);
  }
}

/** The destination's instance is more than one process while its command is still a script. */
function isOnBothSides(processes: readonly { readonly instance: Instance }[]): boolean {
  return new Set(processes.map(({ instance }) => instance)).size > 1;
}
