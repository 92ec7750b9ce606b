// The progress line: on a terminal one line that is written over, otherwise one line a round.
import type { MigrationStatus } from '@pageferry/protocol';

const MB = 1e6;

/** Bytes as people read them. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < MB ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / MB).toFixed(1)} MB`;
}

export class Progress {
  readonly #out: NodeJS.WriteStream;
  #lastBytes = 0;
  #lastMs = 0;
  #printedRounds = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  update(status: MigrationStatus): void {
    const nowMs = status['total-time'] ?? 0;
    const bytes = status.ram?.transferred ?? 0;
    if (this.#out.isTTY) {
      const seconds = (nowMs - this.#lastMs) / 1000;
      const rate = seconds > 0 ? (bytes - this.#lastBytes) / seconds : 0;
      this.#out.write(`\r\x1b[K${lineOf(status, rate).slice(0, this.#out.columns - 1)}`);
      if (status.status === 'completed') this.#out.write('\n');
    } else this.#printRounds(status);
    this.#lastBytes = bytes;
    this.#lastMs = nowMs;
  }

  #printRounds(status: MigrationStatus): void {
    for (const round of status.pageferry.rounds.slice(this.#printedRounds)) {
      const { normal, duplicate, bytes, ms, final } = round;
      const rate = (bytes / MB / Math.max(ms, 1)) * 1000;
      const pages = normal + duplicate + round['xbzrle-pages'];
      this.#out.write(
        `round ${round.round}${final ? ' (guest paused)' : ''}: ${pages} pages in ${ms.toFixed(0)} ms, ` +
          `${formatBytes(bytes)}, ${rate.toFixed(1)} MB/s\n`,
      );
    }
    this.#printedRounds = status.pageferry.rounds.length;
  }
}

function lineOf({ status, ram, pageferry }: MigrationStatus, rate: number): string {
  const { phase, round, coverage, because } = pageferry;
  const covered = `${(coverage * 100).toFixed(0).padStart(3)} % covered`;
  const remaining = `${formatBytes(ram?.remaining ?? 0)} remaining`;
  const line = `${covered} | ${(rate / MB).toFixed(1)} MB/s | ${remaining} | round ${round} | ${status}, ${phase}`;
  return because === undefined ? line : `${line} | ${because}`;
}
