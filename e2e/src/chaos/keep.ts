/** Keeps what explains a failed run, in a directory of its own that stays: plan, problems, logs, journals. */
import { cpSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { DaemonPair } from '../daemon-pair.ts';
import type { ChaosResult } from './run.ts';

/** Where the daemons' logs of a run begin. */
export interface LogMarks {
  readonly source: number;
  readonly destination: number;
}

export function markLogs({ source, destination }: DaemonPair): LogMarks {
  return { source: source.lines.length, destination: destination.lines.length };
}

/** Gives the directory. */
export function keepRun(
  pair: DaemonPair,
  { plan, problems }: ChaosResult,
  directory: string,
  marks: LogMarks,
): string {
  const kept = mkdtempSync(join(tmpdir(), `pageferry-chaos-seed-${plan.seed}-`));
  writeFileSync(join(kept, 'plan.json'), `${JSON.stringify(plan, undefined, 2)}\n`);
  writeFileSync(join(kept, 'problems.txt'), `${problems.join('\n')}\n`);
  for (const side of ['source', 'destination'] as const) {
    const daemon = pair[side];
    writeFileSync(join(kept, `${side}.log`), `${daemon.lines.slice(marks[side]).join('\n')}\n`);
    if (existsSync(daemon.stateDirectory))
      cpSync(daemon.stateDirectory, join(kept, basename(daemon.stateDirectory)), { recursive: true });
  }
  for (const name of ['operations.log', 'cmp.verdict']) {
    const path = join(directory, name);
    if (existsSync(path)) cpSync(path, join(kept, name));
  }
  return kept;
}
