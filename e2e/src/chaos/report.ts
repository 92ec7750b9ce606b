/** What runs came to, in tables and figures. */
import { ALL_FAULTS, PHASES, type FaultName } from './fault.ts';
import { OUTCOMES, type ChaosResult } from './run.ts';

/** Whether the guest wrote until the pause, so that the run could have failed. */
export function isCounted({ writtenLast, finalPages, problems }: ChaosResult): boolean {
  return problems.length > 0 || (writtenLast > 0 && finalPages > 0);
}

/** One line: what a run was and what came of it. */
export function describeRun({
  plan,
  outcome,
  hasStruck,
  refusal,
  stuckIn,
  problems,
  ms,
}: ChaosResult): string {
  const { seed, fault, moment, second } = plan;
  const what = [fault, ...(second === undefined ? [] : [`then ${second.fault}`])].join(', ');
  const where = moment === undefined ? '' : ` in ${moment.phase}${hasStruck ? '' : ' (did not come to it)'}`;
  const stuck = stuckIn === undefined ? '' : ` (${stuckIn})`;
  const end = problems.length > 0 ? 'FAILED' : `${outcome}${stuck}`;
  const why = refusal === undefined ? '' : ` (${refusal})`;
  return `seed ${seed}: ${what}${where}: ${end}, ${(ms / 1000).toFixed(1)} s${why}\n`;
}

/** Faults × phases: how often each fault struck in each phase, what the attempt came to, and what failed. */
export function faultTable(results: readonly ChaosResult[], skipped: ReadonlyMap<FaultName, number>): string {
  const columns = [...PHASES, 'second', 'missed', 'skipped', ...OUTCOMES, 'failed'];
  const rows = ALL_FAULTS.map((fault) => ({ fault, counts: countsOf(fault, results, skipped) })).filter(
    ({ counts }) => counts.size > 0,
  );
  const total = new Map<string, number>();
  for (const { counts } of rows)
    for (const [column, count] of counts) total.set(column, (total.get(column) ?? 0) + count);
  const width = Math.max(...ALL_FAULTS.map((fault) => fault.length)) + 1;
  const line = (name: string, cells: readonly string[]): string =>
    `${name.padEnd(width)}${cells.map((cell, index) => cell.padStart((columns[index]?.length ?? 0) + 1)).join('')}\n`;
  const cellsOf = (counts: ReadonlyMap<string, number>): readonly string[] =>
    columns.map((column) => String(counts.get(column) ?? '·'));
  return [
    line('', columns),
    ...rows.map(({ fault, counts }) => line(fault, cellsOf(counts))),
    line('all', cellsOf(total)),
  ].join('');
}

/** One line each: how many runs, what they moved, what was done to them. */
export function summarize(results: readonly ChaosResult[]): string {
  const rounds = results.flatMap(({ status }) => status?.pageferry.rounds ?? []);
  const ms = results.map((result) => result.ms).toSorted((a, b) => a - b);
  const rows: Readonly<Record<string, number>> = {
    runs: results.length,
    'the guest wrote until the pause': results.filter(isCounted).length,
    failed: results.filter(({ problems }) => problems.length > 0).length,
    'changes in flight': sum(results.map(({ changeCount }) => changeCount)),
    rounds: rounds.length,
    'of these by soft-dirty bits': rounds.filter(({ tracker }) => tracker === 'soft-dirty').length,
    'final rounds by soft-dirty bits': rounds.filter(
      ({ tracker, final }) => tracker === 'soft-dirty' && final,
    ).length,
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
    .map(([name, value]) => `${name.padEnd(33)}${value}\n`)
    .join('');
}

/** A column's name with its count; what is zero is absent. */
function countsOf(
  fault: FaultName,
  results: readonly ChaosResult[],
  skipped: ReadonlyMap<FaultName, number>,
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const add = (column: string): void => void counts.set(column, (counts.get(column) ?? 0) + 1);
  for (const { plan, hasStruck, hasStruckAgain, outcome, problems } of results) {
    if (plan.second?.fault === fault && hasStruckAgain) add('second');
    if (plan.fault !== fault) continue;
    if (plan.moment !== undefined) add(hasStruck ? plan.moment.phase : 'missed');
    if (outcome !== undefined) add(outcome);
    if (problems.length > 0) add('failed');
  }
  for (let count = skipped.get(fault) ?? 0; count > 0; count -= 1) add('skipped');
  return counts;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
