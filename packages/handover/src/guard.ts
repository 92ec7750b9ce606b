// The daemon's hold on its guard: started in setup (a Node process takes 0.1 s), armed before the guest is paused.
// Invariant: arm() resolves only when the guard itself has answered, so a daemon that dies a moment later is covered.
// The guard is detached, in a session of its own: what ends the daemon's group or terminal does not reach it.
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { HandoverError } from './errors.ts';
import { reasonOf } from './messages.ts';

/** A guard answers within microseconds once it has started; this bounds a machine that swaps. */
const ANSWER_TIMEOUT_MS = 5000;

type Answer = 'armed' | 'released';

interface Waiting {
  readonly answer: Answer;
  readonly resolve: () => void;
  readonly reject: (error: HandoverError) => void;
}

export interface StartGuardOptions {
  /** Program and arguments; the program calls `runGuard` on its standard input and output. */
  readonly command: readonly [string, ...string[]];
}

/** Starts a guard; it is idle until armed. */
export function startGuard({ command }: StartGuardOptions): Guard {
  const [program, ...args] = command;
  return new Guard(spawn(program, args, { detached: true, stdio: ['pipe', 'pipe', 'inherit'] }));
}

/** A guard process that is running, or lost. */
export class Guard {
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  #waiting: Waiting | null = null;
  #asked: Promise<void> = Promise.resolve();
  #lost: string | null = null;
  #isStopping = false;
  #onLost: (reason: string) => void = () => undefined;

  /** A process that could not be started for want of descriptors has no streams; `error` tells of it. */
  constructor(process: ChildProcess) {
    this.#process = process;
    if (process.stdout instanceof Readable)
      createInterface({ input: process.stdout }).on('line', (line) => this.#answered(line));
    this.#exited = new Promise((resolve) => {
      const end = (reason: string): void => {
        if (this.#lost !== null) return;
        this.#lost = reason;
        this.#waiting?.reject(new HandoverError({ code: 'guard-lost', detail: reason }));
        this.#waiting = null;
        if (!this.#isStopping) this.#onLost(reason);
        resolve();
      };
      process.once('exit', (code, signal) => end(`it ended with ${signal ?? `code ${code}`}`));
      process.once('error', (error) => end(reasonOf(error)));
    });
    // Writing to a guard that has ended: 'exit' says so, with the reason.
    process.stdin?.on('error', () => undefined);
  }

  /** Tells when the guard has ended by itself or was killed: before the commit that is a failure of the migration. */
  watch(onLost: (reason: string) => void): void {
    this.#onLost = onLost;
    if (this.#lost !== null) onLost(this.#lost);
  }

  get isAlive(): boolean {
    return this.#lost === null;
  }

  /** Undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Resolves when the guard is armed. @throws {HandoverError} `guard-lost`. */
  arm(): Promise<void> {
    return this.#ask('arm', 'armed');
  }

  /** Back to idle; a guard that is lost is released. */
  async release(): Promise<void> {
    if (this.#lost !== null) return;
    try {
      await this.#ask('release', 'released');
    } catch (error) {
      if (!(error instanceof HandoverError) || this.#lost === null) throw error;
    }
  }

  /** Releases the guard and lets it end; resolves when it has. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.release();
    this.#process.stdin?.end();
    await this.#exited;
  }

  /** One question at a time: who comes meanwhile waits for its answer first. */
  async #ask(line: string, answer: Answer): Promise<void> {
    const before = this.#asked;
    const asked = before.catch(() => undefined).then(() => this.#askNow(line, answer));
    this.#asked = asked;
    await asked;
  }

  async #askNow(line: string, answer: Answer): Promise<void> {
    if (this.#lost !== null) throw new HandoverError({ code: 'guard-lost', detail: this.#lost });
    const done = new Promise<void>((resolve, reject) => {
      this.#waiting = { answer, resolve, reject };
    });
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), ANSWER_TIMEOUT_MS);
    this.#process.stdin?.write(`${line}\n`);
    try {
      await done;
    } finally {
      clearTimeout(timer);
    }
  }

  #answered(line: string): void {
    if (this.#waiting?.answer !== line) return;
    const { resolve } = this.#waiting;
    this.#waiting = null;
    resolve();
  }
}
