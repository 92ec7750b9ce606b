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
      this.#samples.push({ atMs: performance.now(), logBytes: statSync(logPath).size });
    }, SAMPLE_MS);
  }

  /** Operations of the source's instance in the last second before its last one, which is when it was paused. */
  stop(): number {
    clearInterval(this.#timer);
    const log = readFileSync(this.#logPath, 'latin1');
    const end = log.search(/^destination /m);
    const pausedBytes = end === -1 ? log.length : end;
    const pausedMs = this.#samples.find(({ logBytes }) => logBytes >= pausedBytes)?.atMs ?? performance.now();
    const before = this.#samples.findLast(({ atMs }) => atMs <= pausedMs - 1000);
    return log.slice(before?.logBytes ?? 0, pausedBytes).split('\n').length - 1;
  }
}
