/**
 * The daemon's view of its engine: a child process that sends rounds, one at a time.
 *
 * Whatever ends the engine before `kill()` is told once through `onFailure`; what is awaited here then never
 * resolves, so callers race it with the migration's failure.
 */
import { fileURLToPath } from 'node:url';
import { engineError } from '@pageferry/management';
import { TransportError, type EngineProcess } from '@pageferry/transport';
import type { Counters } from './engine/counters.ts';
import type { EngineCommand, EnginePlan, EngineReport, RoundPlan } from './engine/messages.ts';

/** What `Spare` starts for a source. */
export const ENGINE_ENTRY = fileURLToPath(new URL('./engine/main.js', import.meta.url));

/** Time for the threads of all streams to start, on a machine that is busy. */
const STREAMS_START_MS = 5000;

export interface PageEngineOptions {
  /** Started, idle. */
  readonly process: EngineProcess;
  /** Images, then their locks: the engine reads the former and keeps the latter held. */
  readonly files: readonly number[];
  readonly onProgress: (counters: Counters, rssAnonBytes: number) => void;
  readonly onFailure: (error: Error) => void;
}

/** What a round came to. */
export type RoundSent = Extract<EngineReport, { type: 'round-sent' }>;

/** What the engine said when all streams were connected. */
export type EngineReady = Extract<EngineReport, { type: 'connected' }>;

export class PageEngine {
  readonly #process: EngineProcess;
  readonly #options: PageEngineOptions;
  #connected: ((report: EngineReady) => void) | undefined;
  #roundSent: ((report: RoundSent) => void) | undefined;

  constructor(options: PageEngineOptions) {
    this.#options = options;
    this.#process = options.process;
    this.#process.attach({
      // Both ends of this channel are of the same build; nothing else writes to it.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      onMessage: (message) => this.#report(message as EngineReport),
      onFailure: options.onFailure,
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Connects every stream; resolves when the destination's engine has accepted them all. The rate is bytes/s. @throws TransportError TIMED_OUT */
  async connect(plan: EnginePlan, bytesPerSecond: number): Promise<EngineReady> {
    const { files } = this.#options;
    const milliseconds = plan.connectTimeoutMs + STREAMS_START_MS;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.#connected = resolve;
        const waitingFor = 'acceptance of the data connections';
        timer = setTimeout(
          () => reject(new TransportError({ code: 'TIMED_OUT', waitingFor, milliseconds })),
          milliseconds,
        );
        this.#process.giveFiles(files);
        this.#tell({ type: 'start', plan, bytesPerSecond, fileCount: files.length });
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends one round. */
  async round(plan: RoundPlan): Promise<RoundSent> {
    return new Promise((resolve) => {
      this.#roundSent = resolve;
      this.#tell({ type: 'round', plan });
    });
  }

  /** `max-bandwidth` for all streams together, bytes/s; 0 is no limit. Takes effect at once. */
  setBandwidth(bytesPerSecond: number): void {
    this.#tell({ type: 'bandwidth', bytesPerSecond });
  }

  /** Ends the engine; resolves once it is gone. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  #tell(command: EngineCommand): void {
    this.#process.send(command);
  }

  #report(report: EngineReport): void {
    switch (report.type) {
      case 'connected':
        this.#connected?.(report);
        break;
      case 'progress':
        this.#options.onProgress(report.counters, report.rssAnonBytes);
        break;
      case 'round-sent':
        this.#roundSent?.(report);
        break;
      case 'failed':
        this.#options.onFailure(engineError(report));
        break;
    }
  }
}
