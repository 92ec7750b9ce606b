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
  #end: TransportError | undefined;
  /** What it said while nobody was attached: that a thread could not be started, say. */
  #early: unknown[] = [];

  /** Starts the engine whose entry file is given; it waits for its daemon's first message. */
  constructor(entry: string) {
    this.#child = fork(entry, [String(process.pid)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
      serialization: 'advanced',
      execArgv: [],
    });
    this.#child.on('message', (message) => {
      if (this.#handler === undefined) this.#early.push(message);
      else this.#handler.onMessage(message);
    });
    // An engine that ends with files unread resets this socket; `exit` tells of the end.
    filesSocketOf(this.#child)?.on('error', () => undefined);
    this.#exited = new Promise((resolve) => {
      const ended = (error: TransportError): void => {
        this.#end = error;
        resolve();
        if (!this.#isKilled) this.#handler?.onFailure(error);
        this.#isKilled = true;
      };
      this.#child.once('exit', (exitCode, signal) =>
        ended(new TransportError({ code: 'ENGINE_ENDED', exitCode, signal })),
      );
      // A spawn that fails (EMFILE, EAGAIN) emits `error` and no `exit`.
      this.#child.on('error', (error: NodeJS.ErrnoException) => {
        if (this.#child.pid !== undefined) return;
        ended(new TransportError({ code: 'ENGINE_NOT_STARTED', errno: error.code ?? error.message }));
      });
    });
  }

  /** Process id, or undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isAlive(): boolean {
    return this.#end === undefined && this.#child.connected;
  }

  /** Puts the engine to work for a migration. What it has said already, and its end, are told in the next turn. */
  attach(handler: EngineHandler): void {
    this.#handler = handler;
    const early = this.#early;
    this.#early = [];
    const end = this.#end;
    setImmediate(() => {
      for (const message of early) handler.onMessage(message);
      if (end !== undefined) handler.onFailure(end);
    });
  }

  /** Gives the engine open files; the message that counts them must follow. @throws TransportError SYSTEM_CALL */
  giveFiles(fds: readonly number[]): void {
    const socket = filesSocketOf(this.#child);
    if (socket === undefined || !('_handle' in socket)) return;
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

/** A process that could not be started for want of descriptors has no `stdio` at all, whatever the types say. */
function filesSocketOf(child: ChildProcess): Socket | undefined {
  const stdio: unknown = child.stdio;
  const socket: unknown = Array.isArray(stdio) ? stdio[ENGINE_FILES_FD] : undefined;
  return socket instanceof Socket ? socket : undefined;
}
