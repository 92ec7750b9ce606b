/**
 * The daemon's view of its engine: a child process that applies pages and says what it has applied.
 *
 * Whatever ends the engine before `kill()` is told once through `onFailure`.
 */
import { fileURLToPath } from 'node:url';
import { engineError } from '@pageferry/management';
import type { Arrival, EngineProcess } from '@pageferry/transport';
import type { Counters } from './engine/counters.ts';
import type { EngineCommand, EnginePlan, EngineReport, ExtentName } from './engine/messages.ts';

/** What `Spare` starts for a destination. */
export const ENGINE_ENTRY = fileURLToPath(new URL('./engine/main.js', import.meta.url));

/** A round of which every stream has applied all frames. */
export type RoundApplied = Extract<EngineReport, { type: 'round-applied' }>;

export interface PageEngineOptions {
  /** Started, idle. */
  readonly process: EngineProcess;
  readonly plan: EnginePlan;
  /** Images, then their locks: the engine writes the former and keeps the latter held. */
  readonly files: readonly number[];
  readonly onProgress: (counters: Counters, rssAnonBytes: number) => void;
  readonly onRoundApplied: (applied: RoundApplied) => void;
  readonly onFailure: (error: Error) => void;
}

export class PageEngine {
  readonly #process: EngineProcess;
  readonly #options: PageEngineOptions;
  #rereadDone: ((differing: readonly ExtentName[]) => void) | undefined;

  constructor(options: PageEngineOptions) {
    this.#options = options;
    this.#process = options.process;
    this.#process.attach({
      // Both ends of this channel are of the same build; nothing else writes to it.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      onMessage: (message) => this.#report(message as EngineReport),
      onFailure: options.onFailure,
    });
    this.#process.giveFiles(options.files);
    this.#tell({ type: 'start', plan: options.plan, fileCount: options.files.length });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Gives a proven data connection to its stream. */
  connect(stream: number, arrival: Arrival): void {
    const command: EngineCommand = { type: 'connection', stream };
    this.#process.sendConnection(command, arrival);
  }

  /** Digests the files again; resolves with the extents whose content is not what was applied. */
  async reread(): Promise<readonly ExtentName[]> {
    return new Promise((resolve) => {
      this.#rereadDone = resolve;
      this.#tell({ type: 'reread' });
    });
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
      case 'progress':
        this.#options.onProgress(report.counters, report.rssAnonBytes);
        break;
      case 'round-applied':
        this.#options.onRoundApplied(report);
        break;
      case 'reread-done':
        this.#rereadDone?.(report.differing);
        break;
      case 'failed':
        this.#options.onFailure(engineError(report));
        break;
    }
  }
}
