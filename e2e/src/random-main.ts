/**
 * Randomised end-to-end runs: node e2e/dist/src/random-main.js --runs N --seed S. A run that fails is printed with
 * its seed and its plan; `--runs 1 --seed` of it does the same again. Exit code 1 if one failed.
 */
import { parseArgs } from 'node:util';
import { DaemonPair } from './daemon-pair.ts';
import { describeFailure, isCounted, summarize } from './random-report.ts';
import { runRandom, type RandomResult } from './random-run.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '15' }, seed: { type: 'string', default: '1' } },
});
const runCount = Number(values.runs);
const firstSeed = Number(values.seed);
const results: RandomResult[] = [];
// Ends the processes too, which a signal by itself would leave.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const pair = await DaemonPair.start();
try {
  // A run whose guest wrote too little proves little, and is made up for by another; not for ever, though.
  for (let index = 0; results.filter(isCounted).length < runCount && index < 2 * runCount; index += 1) {
    const result = await runRandom(pair, firstSeed + index);
    results.push(result);
    if (result.problems.length > 0) process.stdout.write(describeFailure(result));
  }
} finally {
  await pair.end();
}
process.stdout.write(summarize(results));
const isRight = results.every(({ problems }) => problems.length === 0);
process.exitCode = isRight && results.filter(isCounted).length === runCount ? 0 : 1;
