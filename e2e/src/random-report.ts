/** What randomised runs came to, in words and figures. */
import type { RandomResult } from './random-run.ts';

/** Whether the guest wrote until the pause, so that the run could have failed. */
export function isCounted({ writtenLast, finalPages, problems }: RandomResult): boolean {
  return problems.length > 0 || (writtenLast > 0 && finalPages > 0);
}

/** Everything that is needed to repeat a run, and what was wrong with it. */
export function describeFailure({ plan, problems }: RandomResult): string {
  return `seed ${plan.seed} failed:\n  ${problems.join('\n  ')}\n${JSON.stringify(plan, undefined, 2)}\n`;
}

/** One line each: how many runs, what they moved, what was done to them. */
export function summarize(results: readonly RandomResult[]): string {
  const rounds = results.flatMap(({ status }) => status?.pageferry.rounds ?? []);
  const ms = results.map((result) => result.ms).toSorted((a, b) => a - b);
  const rows: Readonly<Record<string, number>> = {
    runs: results.length,
    counted: results.filter(isCounted).length,
    failed: results.filter(({ problems }) => problems.length > 0).length,
    'cancelled and tried again': results.filter(({ wasCancelled }) => wasCancelled).length,
    'changes in flight': sum(results.map(({ changeCount }) => changeCount)),
    rounds: rounds.length,
    'normal pages': sum(rounds.map(({ normal }) => normal)),
    'zero pages': sum(rounds.map(({ duplicate }) => duplicate)),
    'xbzrle pages': sum(rounds.map((round) => round['xbzrle-pages'])),
    'cache misses': sum(rounds.map((round) => round['cache-miss'])),
    overflows: sum(rounds.map(({ overflow }) => overflow)),
    'pages of final rounds': sum(results.map(({ finalPages }) => finalPages)),
    'median ms of a run': Math.round(ms[Math.floor(ms.length / 2)] ?? 0),
    'longest ms of a run': Math.round(ms.at(-1) ?? 0),
  };
  return Object.entries(rows)
    .map(([name, value]) => `${name.padEnd(28)}${value}\n`)
    .join('');
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
