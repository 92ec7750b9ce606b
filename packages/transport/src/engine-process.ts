/**
 * One engine: a child process that moves pages for one migration, seen from its daemon.
 *
 * The daemon gives it descriptors (images, with their locks) and messages, and can kill it at any moment. An
 * engine never ends by itself in good order: its end before `kill()` is a failure whatever its exit code, and
 * its lock descriptors close with it.
 */
import { fork, type ChildProcess, type SendHandle } from 'node:child_process';
import { TransportError } from './errors.ts';
import type { Arrival } from './listener.ts';

/** The first descriptor number that an engine inherits; the daemon's i-th descriptor is FIRST_INHERITED_FD + i there. */
export const FIRST_INHERITED_FD = 4;

export interface EngineOptions {
  /** Path of the engine's entry file. */
  readonly entry: string;
  /** Descriptors that it inherits, in order, from FIRST_INHERITED_FD on. */
  readonly inheritedFds: readonly number[];
  /** Every message of the engine; already an object, to be narrowed by the caller's message union. */
  readonly onMessage: (message: unknown) => void;
  /** The engine's end that nobody asked for. */
  readonly onFailure: (error: TransportError) => void;
}

/** A running engine. `kill()` resolves once the process is gone, so that its memory and locks are free. */
export class EngineProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #isKilled = false;

  constructor(options: EngineOptions) {
    this.#child = fork(options.entry, [String(process.pid)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...options.inheritedFds],
      serialization: 'advanced',
      execArgv: [],
    });
    this.#child.on('message', options.onMessage);
    this.#exited = new Promise((resolve) => {
      const ended = (exitCode: number | null, signal: string | null): void => {
        resolve();
        if (this.#isKilled) return;
        this.#isKilled = true;
        options.onFailure(new TransportError({ code: 'ENGINE_ENDED', exitCode, signal }));
      };
      this.#child.once('exit', ended);
      // A spawn that fails (EMFILE, ENOMEM) emits `error` and no `exit`.
      this.#child.on('error', () => {
        if (this.#child.pid === undefined) ended(null, null);
      });
    });
  }

  /** Process id, or undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Sends a message. One to an engine that has ended is dropped. */
  send(message: object): void {
    this.#send(message, undefined, () => undefined);
  }

  /** Sends a message together with an accepted connection, which is the engine's from then on. */
  sendConnection(message: object, arrival: Arrival): void {
    arrival.handOver((handle, sent) => this.#send(message, handle, sent));
  }

  /** Ends the engine with SIGKILL (a worker may be blocked in a system call, where nothing else helps). */
  async kill(): Promise<void> {
    this.#isKilled = true;
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** The engine may end between the check and the write: its end is reported by `exit`, not here. */
  #send(message: object, handle: SendHandle | undefined, sent: () => void): void {
    if (this.#child.connected) this.#child.send(message, handle, {}, sent);
    else sent();
  }
}
