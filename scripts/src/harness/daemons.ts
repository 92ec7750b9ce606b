/**
 * A source or destination daemon as a real process with a state directory of its own: started, ended in good order,
 * killed, started again on the same state. The API is on a port that the system chose, another one in each life.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { ApiClient } from './api.ts';
import { Child, programPath, type Exit, type Surroundings } from './child.ts';

const PROGRAMS = {
  source: 'packages/source/dist/src/main.js',
  destination: 'packages/dest/dist/src/main.js',
} as const;

const listening = z.object({ msg: z.literal('listening'), api: z.string() });

/** Log lines that a failure quotes. */
const LAST_LINES = 20;

export interface DaemonOptions extends Surroundings {
  readonly side: keyof typeof PROGRAMS;
  /** Takes the state directory. */
  readonly directory: string;
  readonly imageRoot: string;
  /** Where monitors of QEMU guests are; the daemon's default if absent. */
  readonly qmpRoot?: string;
  /** Least level that it logs; debug if absent. */
  readonly logLevel?: 'debug' | 'info';
  /** Destination: commands that start guests, by name. */
  readonly guestCommands?: Readonly<Record<string, readonly string[]>>;
}

export class Daemon {
  readonly stateDirectory: string;
  readonly #options: DaemonOptions;
  readonly #earlierLines: string[] = [];
  #child: Child | undefined;
  #api: ApiClient | undefined;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.stateDirectory = join(options.directory, `state-${options.side}`);
  }

  /** Resolves when the API answers, which is after the recovery of an earlier life. */
  async start(): Promise<void> {
    const { side, imageRoot, qmpRoot, guestCommands, logLevel = 'debug' } = this.#options;
    if (this.#child !== undefined) throw new Error(`the ${side} daemon runs already`);
    const args = [
      '--api=tcp:127.0.0.1:0',
      `--state-dir=${this.stateDirectory}`,
      `--image-root=${imageRoot}`,
      ...(qmpRoot === undefined ? [] : [`--qmp-root=${qmpRoot}`]),
      `--log-level=${logLevel}`,
      ...(guestCommands === undefined ? [] : ['--guest-commands', JSON.stringify(guestCommands)]),
    ];
    const child = await Child.start(programPath(PROGRAMS[side]), args, false, this.#options);
    this.#child = child;
    const { api } = await child.line(
      'the line with its address',
      (line) => listening.safeParse(parse(line)).data,
    );
    this.#api = new ApiClient(api, () => {
      const { code, signal } = child.exit ?? { code: 'none', signal: 'none' };
      return `the ${side} daemon, exit code ${code}, signal ${signal}:\n${child.lines.slice(-LAST_LINES).join('\n')}`;
    });
  }

  get api(): ApiClient {
    if (this.#api === undefined) throw new Error(`the ${this.#options.side} daemon does not run`);
    return this.#api;
  }

  get pid(): number {
    if (this.#child === undefined) throw new Error(`the ${this.#options.side} daemon does not run`);
    return this.#child.pid;
  }

  /** False before its start, after its end, and when it has ended by itself. */
  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exit === undefined;
  }

  /** Log lines of all its lives. */
  get lines(): readonly string[] {
    return [...this.#earlierLines, ...(this.#child?.lines ?? [])];
  }

  /** Ends it as an operator does. */
  async stop(): Promise<Exit | undefined> {
    return this.#end('SIGTERM');
  }

  /** Ends it without warning. */
  async kill(): Promise<Exit | undefined> {
    return this.#end('SIGKILL');
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<Exit | undefined> {
    const exit = await this.#child?.end(signal);
    this.#earlierLines.push(...(this.#child?.lines ?? []));
    this.#child = undefined;
    this.#api = undefined;
    return exit;
  }
}

function parse(line: string): unknown {
  return line.startsWith('{') ? JSON.parse(line) : undefined;
}
