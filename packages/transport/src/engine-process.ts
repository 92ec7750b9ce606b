/**
 * One engine: a child process that moves pages for one migration, seen from its daemon.
 *
 * It is started before it is needed (a Node process with its threads takes 0.2 s) and gets open files later, over a
 * socket of its own: images to read or write, and their locks, which it then holds as well. An engine never ends by
 * itself in good order: its end before `kill()` is a failure whatever its exit code.
 */
import { fork, type ChildProcess, type SendHandle } from 'node:child_process';
import { Socket } from 'node:net';
import { sendDescriptors } from './descriptors.ts';
import { TransportError } from './errors.ts';
import type { Arrival } from './listener.ts';

/** The descriptor number, in the engine, of the socket that its open files come over. */
export const ENGINE_FILES_FD = 4;

/** What a daemon wants to know of its engine. */
export interface EngineHandler {
  /** Every message of the engine; already an object, to be narrowed by the caller's message union. */
  readonly onMessage: (message: unknown) => void;
  /** The engine's end that nobody asked for. */
  readonly onFailure: (error: TransportError) => void;
}

/** A running engine. `kill()` resolves once the process is gone, so that its memory and locks are free. */
export class EngineProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #handler: EngineHandler | undefined;
  #isKilled = false;
  #hasEnded = false;

  /** Starts the engine whose entry file is given; it waits for its daemon's first message. */
  constructor(entry: string) {
    this.#child = fork(entry, [String(process.pid)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
      serialization: 'advanced',
      execArgv: [],
    });
    this.#child.on('message', (message) => this.#handler?.onMessage(message));
    // An engine that ends with files unread resets this socket; `exit` tells of the end.
    this.#child.stdio[ENGINE_FILES_FD]?.on('error', () => undefined);
    this.#exited = new Promise((resolve) => {
      const ended = (exitCode: number | null, signal: string | null): void => {
        this.#hasEnded = true;
        resolve();
        if (!this.#isKilled)
          this.#handler?.onFailure(new TransportError({ code: 'ENGINE_ENDED', exitCode, signal }));
        this.#isKilled = true;
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

  get isAlive(): boolean {
    return !this.#hasEnded && this.#child.connected;
  }

  /** Puts the engine to work for a migration. One that has ended already is a failure at once. */
  attach(handler: EngineHandler): void {
    this.#handler = handler;
    if (this.#hasEnded)
      handler.onFailure(new TransportError({ code: 'ENGINE_ENDED', exitCode: null, signal: null }));
  }

  /** Gives the engine open files; the message that counts them must follow. @throws TransportError SYSTEM_CALL */
  giveFiles(fds: readonly number[]): void {
    const socket = this.#child.stdio[ENGINE_FILES_FD];
    if (!(socket instanceof Socket) || !('_handle' in socket)) return;
    const handle: unknown = socket._handle;
    if (typeof handle === 'object' && handle !== null && 'fd' in handle && typeof handle.fd === 'number') {
      sendDescriptors(handle.fd, fds);
    }
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
