// Two runs side by side, with (+) and without (-) the rule, in the layout of the commit message, and below it a sentence
// for each figure that moved in another direction than there, with figures of the rounds that show why.
import type { MigrationStatus } from '@pageferry/protocol';
import { ROWS } from './rows.ts';
import type { Row } from './rows.ts';

/** What the commit message has: 179589 misses without the rule, 18750 with it. */
const RATIO_THERE = 179_589 / 18_750;

export interface Pair {
  readonly withRule: MigrationStatus;
  readonly without: MigrationStatus;
}

/** How many times fewer cache misses there are with the rule. */
export function missRatio({ withRule, without }: Pair): number {
  return missesOf(without) / missesOf(withRule);
}

function missesOf(status: MigrationStatus): number {
  return status['xbzrle-cache']?.['cache-miss'] ?? NaN;
}

export function reportPair(pair: Pair): string {
  const { withRule, without } = pair;
  const lines = ROWS.map(
    ({ name, unit, figure }) =>
      `+ ${name}: ${figure(withRule)}${unit}\n- ${name}: ${figure(without)}${unit}\n`,
  );
  const ratio = `cache misses: ${missRatio(pair).toFixed(1)} times fewer with the rule (there ${RATIO_THERE.toFixed(1)})\n`;
  const differences = ROWS.filter((row) => directionOf(row, pair) !== row.smallerThere).map(
    (row) => `- ${row.name}: ${compare(row, pair)}. ${row.explain(pair)}\n`,
  );
  const title = differences.length === 0 ? '' : '\nOther directions than in the commit message:\n';
  return `${lines.join('')}\n${ratio}${title}${differences.join('')}`;
}

/** Both directions, and how large the difference is here. */
function compare(row: Row, pair: Pair): string {
  const base = row.figure(pair.without);
  const share = (Math.abs(row.figure(pair.withRule) - base) / base) * 100;
  const size = base === 0 ? '' : ` by ${share.toFixed(share < 10 ? 1 : 0)} %`;
  return `${inWords(row.smallerThere)} there, ${inWords(directionOf(row, pair))} here${size}`;
}

function directionOf({ figure }: Row, { withRule, without }: Pair): Row['smallerThere'] {
  const difference = figure(withRule) - figure(without);
  if (difference === 0) return 'neither';
  return difference < 0 ? '+' : '-';
}

function inWords(smaller: Row['smallerThere']): string {
  switch (smaller) {
    case '+':
      return 'less with the rule';
    case '-':
      return 'more with the rule';
    case 'neither':
      return 'the same';
  }
}
