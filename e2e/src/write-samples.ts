/** When the guest wrote, seen from outside: the length of its log over time. */
import { readFileSync, statSync } from 'node:fs';

const SAMPLE_MS = 10;

export class WriteSamples {
  readonly #logPath: string;
  readonly #samples: { readonly atMs: number; readonly logBytes: number }[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(logPath: string) {
    this.#logPath = logPath;
    this.#timer = setInterval(() => {
      const { size } = statSync(logPath, { throwIfNoEntry: false }) ?? { size: 0 };
      this.#samples.push({ atMs: performance.now(), logBytes: size });
    }, SAMPLE_MS);
  }

  /** Operations of the source's instance in the last second before its last one, which is when it was paused. */
  lastSecond(): number {
    this.end();
    const log = readFileSync(this.#logPath, 'latin1');
    const end = log.search(/^destination /m);
    const pausedBytes = end === -1 ? log.length : end;
    const pausedMs = this.#samples.find(({ logBytes }) => logBytes >= pausedBytes)?.atMs ?? performance.now();
    const before = this.#samples.findLast(({ atMs }) => atMs <= pausedMs - 1000);
    return log.slice(before?.logBytes ?? 0, pausedBytes).split('\n').length - 1;
  }

  /** Ends the sampling. */
  end(): void {
    clearInterval(this.#timer);
  }
}
