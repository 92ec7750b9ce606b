// Repeats the experiment of the commit whose rule this project has ("migration: use XBZRLE only after bulk stage"): the
// same guest with (+) and without (-) the rule, in the layout of its message. Each figure that moves in another
// direction than there is explained by figures of this run. Exit code 1 if the rule saves too few cache misses.
import { missRatio, reportPair } from './seed/report.ts';
import {
  CACHE_BYTES,
  DOCS_PAGES_PER_SECOND,
  RANDOM_PAGES_PER_SECOND,
  ZERO_SHARE,
  migrateOnce,
} from './seed/experiment.ts';
import { USAGE, parseSeedOptions } from './seed/options.ts';
import type { SeedOptions } from './seed/options.ts';
import { formatTarget } from './bench/figures.ts';

/** QEMU's rule of that time, which the target is for, and the rule that it has since version 2.3. */
const EVICTIONS = ['newest', 'age'] as const;
const LEAST_RATIO = 5;
const MIB = 2 ** 20;

async function main(args: readonly string[]): Promise<number> {
  const options = parseSeedOptions(args);
  if (options === null) {
    process.stdout.write(USAGE);
    return 0;
  }
  process.stdout.write(describe(options));
  const ratios: number[] = [];
  for (const eviction of EVICTIONS) {
    const withRule = await migrateOnce(options, { stage: 'after-bulk', eviction });
    const without = await migrateOnce(options, { stage: 'always', eviction });
    const pair = { withRule, without };
    process.stdout.write(`\nxbzrle-eviction ${eviction}\n\n${reportPair(pair)}`);
    ratios.push(missRatio(pair));
  }
  const [ratio = NaN] = ratios;
  const isMet = ratio >= LEAST_RATIO;
  const text = `at least ${LEAST_RATIO} times fewer cache misses with the rule (eviction newest): ${ratio.toFixed(1)} times`;
  process.stdout.write(`\n${formatTarget({ text, isMet })}`);
  return isMet ? 0 : 1;
}

function describe({ sizeBytes, roundCount, maxBandwidth }: SeedOptions): string {
  return (
    `${sizeBytes / MIB} MiB, ${ZERO_SHARE * 100} % zero pages; cache ${CACHE_BYTES / MIB} MiB; ` +
    `${maxBandwidth / MIB} MiB/s; ${roundCount} rounds after the bulk stage.\n` +
    `Guest: the program of docs/xbzrle.txt (16 MiB, ${DOCS_PAGES_PER_SECOND} pages a second) in the middle of its memory, ` +
    `and ${RANDOM_PAGES_PER_SECOND} random pages a second over the rest.\n` +
    `(+) xbzrle-stage after-bulk, (-) xbzrle-stage always.\n`
  );
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench:seed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
