// The lines of the commit message: name, figure, unit, which run had the smaller figure there, and what explains it
// when it comes out otherwise here. An explanation cites the rounds of this very run, not what was once seen.
import type { MigrationStatus, RoundStatus } from '@pageferry/protocol';
import type { Pair } from './report.ts';

export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly figure: (status: MigrationStatus) => number;
  /** In the commit message. */
  readonly smallerThere: '+' | '-' | 'neither';
  readonly explain: (pair: Pair) => string;
}

const round = (value: number | undefined) => Math.round(value ?? NaN);
const kbytes = (bytes: number | undefined) => round((bytes ?? NaN) / 1024);
const cacheOf = (status: MigrationStatus) => status['xbzrle-cache'];

const FULL_PAGES =
  'With a fixed number of rounds the rule does not change what is sent whole: the image, the first sight of the ' +
  'program’s pages, and what the random writer writes in the time that the run takes. Pages sent whole, by stage';
const DELTAS =
  'With a fixed number of rounds the program’s pages are deltas in all rounds after the one that put them into the ' +
  'cache, with the rule or without it; the rest is what the random writer did, and what the bulk stage left in the ' +
  'cache. Deltas by stage';

export const ROWS: readonly Row[] = [
  {
    name: 'total time',
    unit: ' milliseconds',
    figure: (status) => round(status['total-time']),
    smallerThere: '+',
    explain: (pair) =>
      'The number of rounds is fixed, so bytes that are saved save no round; a later round takes as long as the scan ' +
      `of memory does, which other load on the machine prolongs. Milliseconds by stage${stages(pair, ({ ms }) => ms)}`,
  },
  {
    name: 'downtime',
    unit: ' milliseconds',
    figure: (status) => round(status.downtime),
    smallerThere: '-',
    explain: (pair) => `Most of it is the scan after the pause. ${finalRound(pair)}`,
  },
  {
    name: 'transferred ram',
    unit: ' kbytes',
    figure: ({ ram }) => kbytes(ram?.transferred),
    smallerThere: '+',
    explain: (pair) => FULL_PAGES + stages(pair, ({ normal }) => normal),
  },
  {
    name: 'remaining ram',
    unit: ' kbytes',
    figure: ({ ram }) => kbytes(ram?.remaining),
    smallerThere: 'neither',
    explain: () => 'Both migrations completed.',
  },
  {
    name: 'total ram',
    unit: ' kbytes',
    figure: ({ ram }) => kbytes(ram?.total),
    smallerThere: 'neither',
    explain: () => 'The images have different sizes.',
  },
  {
    name: 'duplicate',
    unit: ' pages',
    figure: ({ ram }) => ram?.duplicate ?? NaN,
    smallerThere: '-',
    explain: (pair) =>
      'Zero pages are those that the bulk stage still finds before the random writer does; and in every 256th pass ' +
      `the program’s bytes come round to zero, and with them its pages that began as zeros. By stage${stages(pair, ({ duplicate }) => duplicate)}`,
  },
  {
    name: 'normal',
    unit: ' pages',
    figure: ({ ram }) => ram?.normal ?? NaN,
    smallerThere: '+',
    explain: (pair) => FULL_PAGES + stages(pair, ({ normal }) => normal),
  },
  {
    name: 'normal bytes',
    unit: ' kbytes',
    figure: ({ ram }) => kbytes(ram?.['normal-bytes']),
    smallerThere: '+',
    explain: (pair) => FULL_PAGES + stages(pair, ({ normal }) => normal),
  },
  {
    name: 'cache size',
    unit: ' bytes',
    figure: (status) => cacheOf(status)?.['cache-size'] ?? NaN,
    smallerThere: 'neither',
    explain: () => 'The runs were given different caches.',
  },
  {
    name: 'xbzrle transferred',
    unit: ' kbytes',
    figure: (status) => kbytes(cacheOf(status)?.bytes),
    smallerThere: '-',
    explain: (pair) => DELTAS + stages(pair, (facts) => facts['xbzrle-pages']),
  },
  {
    name: 'xbzrle pages',
    unit: ' pages',
    figure: (status) => cacheOf(status)?.pages ?? NaN,
    smallerThere: '-',
    explain: (pair) => DELTAS + stages(pair, (facts) => facts['xbzrle-pages']),
  },
  {
    name: 'xbzrle cache miss',
    unit: '',
    figure: (status) => cacheOf(status)?.['cache-miss'] ?? NaN,
    smallerThere: '+',
    explain: (pair) => `Misses by stage${stages(pair, (facts) => facts['cache-miss'])}`,
  },
  {
    name: 'xbzrle overflow',
    unit: '',
    figure: (status) => cacheOf(status)?.overflow ?? NaN,
    smallerThere: 'neither',
    explain: (pair) =>
      'The random writer, which the commit’s guest did not have, rewrites whole pages; where the cache holds the old ' +
      `content, the delta is longer than the page. Overflows by stage${stages(pair, ({ overflow }) => overflow)}`,
  },
];

/** A figure of both runs in the bulk stage, round 1, the later rounds together, and the final round. */
function stages({ withRule, without }: Pair, figure: (facts: RoundStatus) => number): string {
  const plus = figuresByStage(withRule, figure);
  const minus = figuresByStage(without, figure);
  const names = ['bulk', 'round 1', 'later', 'final'];
  return `: ${names.map((name, stage) => `${name} +${round(plus[stage])} -${round(minus[stage])}`).join(', ')}.`;
}

function figuresByStage(
  { pageferry }: MigrationStatus,
  figure: (facts: RoundStatus) => number,
): readonly number[] {
  return [0, 1, 2, 3].map((stage) =>
    pageferry.rounds
      .filter((facts) => stageOf(facts) === stage)
      .reduce((sum, facts) => sum + figure(facts), 0),
  );
}

/** 0 the bulk stage, 1 round 1, 2 the later rounds, 3 the final one. */
function stageOf(facts: RoundStatus): number {
  return facts.final ? 3 : Math.min(facts.round, 2);
}

function finalRound({ withRule, without }: Pair): string {
  return `Final round: + ${describeFinal(withRule)}, - ${describeFinal(without)}.`;
}

function describeFinal({ pageferry }: MigrationStatus): string {
  const final = pageferry.rounds.find((facts) => facts.final);
  const pages = (final?.normal ?? 0) + (final?.duplicate ?? 0) + (final?.['xbzrle-pages'] ?? 0);
  return `${round(final?.ms)} ms for ${pages} changed pages`;
}
