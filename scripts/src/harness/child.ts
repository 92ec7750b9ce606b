/**
 * A program, mostly of Node, as a child process, its output kept line by line. NODE_OPTIONS is emptied, because a test runner puts
 * its own loaders there.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually, guarded } from './wait.ts';

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What a program is started in. */
export interface Surroundings {
  /** A command that executes its last arguments in its own place: with another user, or less of something. */
  readonly launcher?: readonly string[];
  /** Value of NODE_OPTIONS, which its own Node processes inherit. */
  readonly nodeOptions?: string;
}

/** The compiled file of a package's program, by its path from the repository's root. */
export function programPath(path: string): string {
  return fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
}

export class Child {
  readonly pid: number;
  /** Standard output and standard error, in the order of arrival. */
  readonly lines: string[] = [];
  readonly ended: Promise<Exit>;
  exit: Exit | undefined;
  readonly #name: string;

  private constructor(name: string, child: ChildProcess, pid: number) {
    this.#name = name;
    this.pid = pid;
    for (const output of [child.stdout, child.stderr]) {
      if (output !== null) createInterface({ input: output }).on('line', (line) => this.lines.push(line));
    }
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.exit = { code, signal };
        resolve(this.exit);
      });
    });
  }

  /** `isDetached`: in a session of its own, as guests are that a daemon may stop and continue. */
  static async start(
    program: string,
    args: readonly string[],
    isDetached = false,
    surroundings: Surroundings = {},
  ): Promise<Child> {
    const words = [...launcherOf(surroundings), process.execPath, program, ...args];
    return Child.startCommand(program, words, isDetached);
  }

  /** Any program, not only a Node one; `name` is for messages. */
  static async startCommand(name: string, words: readonly string[], isDetached = false): Promise<Child> {
    const [command = name, ...rest] = words;
    const child = spawn(command, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: isDetached,
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    await once(child, 'spawn');
    if (child.pid === undefined) throw new Error(`${name} was not started`);
    return new Child(name, child, child.pid);
  }

  /** What `match` makes of the first line that it accepts, printed already or later. */
  async line<T>(what: string, match: (line: string) => T | undefined): Promise<T> {
    let seen = 0;
    return eventually(
      `${what} of ${this.#name}`,
      () => {
        const isOver = this.exit !== undefined;
        for (; seen < this.lines.length; seen += 1) {
          const found = match(this.lines[seen] ?? '');
          if (found !== undefined) return found;
        }
        if (isOver) throw new Error(`${this.#name} ended without ${what}:\n${this.lines.join('\n')}`);
        return undefined;
      },
      () => `\n${this.lines.join('\n')}`,
    );
  }

  /** Resolves when it has ended with success; throws with what it printed if it did not. */
  async succeed(): Promise<void> {
    const { code } = await this.ended;
    if (code !== 0) throw new Error(`${this.#name} failed:\n${this.lines.join('\n')}`);
  }

  /** Sends a signal, if the process is still there. */
  signal(signal: NodeJS.Signals): void {
    if (this.exit === undefined) process.kill(this.pid, signal);
  }

  /** Sends a signal that ends the process and waits for the end. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<Exit> {
    this.signal(signal);
    return guarded(`the end of ${this.#name}`, this.ended);
  }
}

/** By env(1), because a test runner that wraps `spawn` puts its own NODE_OPTIONS into whatever environment it is given. */
function launcherOf({ launcher = [], nodeOptions = '' }: Surroundings): readonly string[] {
  if (launcher.length === 0 && nodeOptions === '') return [];
  return ['env', `NODE_OPTIONS=${nodeOptions}`, ...launcher];
}
