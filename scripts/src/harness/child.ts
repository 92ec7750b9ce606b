// A process that a script starts: its output goes to a file, its end is a promise, it is stopped by pid.
// Each leads its own process group, so that an interrupt at the terminal reaches the script alone, which then stops
// them in order. NODE_OPTIONS is emptied: a test runner's would be loaded into every process.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** Guard against hanging; nothing here takes that long. */
const GUARD_MS = 60_000;

/** How a process ended: its exit code, or the signal that killed it. */
export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

export class Child {
  readonly name: string;
  readonly pid: number;
  readonly logPath: string;
  readonly exited: Promise<Exit>;
  exit: Exit | undefined;
  readonly #process: ChildProcess;

  private constructor(name: string, logPath: string, child: ChildProcess, pid: number) {
    this.name = name;
    this.logPath = logPath;
    this.pid = pid;
    this.#process = child;
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.exit = { code, signal };
        resolve(this.exit);
      });
    });
  }

  /** Runs a script of ours with Node; output of both kinds is appended to `logPath`. */
  static async startNode(
    name: string,
    script: string,
    args: readonly string[],
    logPath: string,
  ): Promise<Child> {
    const log = openSync(logPath, 'a', 0o600);
    try {
      const child = spawn(process.execPath, [script, ...args], {
        stdio: ['ignore', log, log],
        detached: true,
        env: { ...process.env, NODE_OPTIONS: '' },
      });
      if (child.pid === undefined) {
        const [error]: unknown[] = await once(child, 'error').catch((reason: unknown) => [reason]);
        throw new Error(`${name} could not be started: ${String(error)}`);
      }
      return new Child(name, logPath, child, child.pid);
    } finally {
      closeSync(log);
    }
  }

  get log(): string {
    return readFileSync(this.logPath, 'utf8');
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Resolves with its end; throws with its output if that was not success. */
  async succeed(): Promise<void> {
    const { code } = await this.exited;
    if (code !== 0) throw new Error(`${this.name} failed: ${this.log.trim()}`);
  }

  /** Asks it to end, and kills it if it does not within the guard. A stopped process is killed at once. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    if (this.exit !== undefined) return this.exit;
    this.signal(signal);
    const timer = setTimeout(() => this.signal('SIGKILL'), GUARD_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }
}

/** Asks `probe` again and again until it gives a value; throws after the guard time, or when `child` has ended. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  child?: Child,
  intervalMs = 10,
): Promise<T> {
  const deadline = performance.now() + GUARD_MS;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (child?.exit !== undefined)
      throw new Error(`${child.name} ended while waiting for ${what}: ${child.log.trim()}`);
    if (performance.now() > deadline) throw new Error(`waited ${GUARD_MS} ms for ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, intervalMs);
    });
  }
}
