/** The results of the nested bench as tables: which bits were lost, and what soft-dirty costs beside the scan. Pure. */
import type { NestedResult } from './results.ts';

type LossResult = Extract<NestedResult, { type: 'loss' }>;
type MigrationResult = Extract<NestedResult, { type: 'migration' }>;

/** A row a loss and setting; empty without any. */
export function lossTable(results: readonly NestedResult[]): string {
  const rows = results.filter((result): result is LossResult => result.type === 'loss');
  if (rows.length === 0) return '';
  const lines = rows.map(
    ({
      loss,
      finalScan,
      changedPages,
      seenPages,
      isRescanned,
      isIdentical,
      isSaid,
      tracker,
      failedConditions,
    }) =>
      [
        loss.padEnd(42),
        `final-scan ${finalScan ? 'on ' : 'off'}`,
        `bits ${String(seenPages).padStart(3)} of ${changedPages}`,
        isRescanned ? 'scanned' : 'bits   ',
        isIdentical ? 'identical' : 'DIFFERENT',
        ...(isSaid ? [] : ['AND THE STATUS SAYS OTHERWISE']),
        tracker === 'soft-dirty' ? failedConditions.join('; ') : `fell back: ${tracker}`,
      ].join('  '),
  );
  return `\n${lines.join('\n')}\n\n`;
}

/** Medians by tracker, and their ratios to the scan's; empty without any. */
export function ratioTable(results: readonly NestedResult[]): string {
  const rows = results.filter((result): result is MigrationResult => result.type === 'migration');
  const names = [...new Set(rows.map(({ tracker }) => tracker))];
  const figure = (tracker: string, of: (row: MigrationResult) => number): number =>
    median(rows.filter((row) => row.tracker === tracker).map(of));
  const figures: readonly (readonly [string, (row: MigrationResult) => number])[] = [
    ['memory read after the bulk stage, MiB', ({ readBytes }) => readBytes / 2 ** 20],
    ['CPU of the engine, ms', ({ cpuMs }) => cpuMs],
    ['pause, ms', ({ downtimeMs }) => downtimeMs],
    ['of it the final round, ms', ({ finalRoundMs }) => finalRoundMs],
    ['of that the conditions, ms', ({ conditionsMs }) => conditionsMs],
    ['stopped for the clear, ms', ({ clearMs }) => clearMs],
  ];
  if (names.length === 0) return '';
  const lines = figures.map(([what, of]) => {
    const base = figure('scan', of);
    const cells = names.map((name) => {
      const value = figure(name, of);
      const ratio = base > 0 ? ` (${(value / base).toFixed(2)})` : '';
      return `${value.toFixed(1)}${ratio}`.padStart(26);
    });
    return `${what.padEnd(40)}${cells.join('')}`;
  });
  const heading = `${''.padEnd(40)}${names.map((name) => name.padStart(26)).join('')}`;
  return `\n${[heading, ...lines].join('\n')}\n\n`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle) - 1] ?? NaN)) / 2;
}
