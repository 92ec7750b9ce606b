/**
 * Migrations under faults: npm run test:chaos -- --runs N --seed S. Prints a line a run, the table of faults and
 * phases, and for a run that failed where its logs are and the command that repeats it. Exit code 1 if one failed.
 */
import type { FaultName } from './fault.ts';
import { keepRun, markLogs } from './keep.ts';
import { parseCommandLine, USAGE, type CommandLine } from './options.ts';
import { DaemonPair } from '../daemon-pair.ts';
import { chaosPlan } from './plan.ts';
import { describeRun, faultTable, summarize } from './report.ts';
import { runChaos, type ChaosResult } from './run.ts';

async function main(commandLine: CommandLine): Promise<number> {
  const { runCount, firstSeed, seconds, commandFor } = commandLine;
  const deadlineMs = performance.now() + seconds * 1000;
  const results: ChaosResult[] = [];
  const skipped = new Map<FaultName, number>();
  const failures: string[] = [];
  const surroundings = { isMounting: true, isDisturbing: commandLine.faults.includes('netem') };
  let pair = await DaemonPair.start(surroundings);
  try {
    for (let seed = firstSeed; seed < firstSeed + runCount && performance.now() < deadlineMs; seed += 1) {
      const plan = chaosPlan(seed, commandLine);
      if (plan.fault === 'destination-full' && pair.smallFileSystem === undefined) {
        skipped.set(plan.fault, (skipped.get(plan.fault) ?? 0) + 1);
        continue;
      }
      const marks = markLogs(pair);
      const result = await runChaos(pair, plan, (failed, directory) => {
        const kept = keepRun(pair, failed, directory, marks);
        const what = failed.problems.join('\n  ');
        failures.push(`seed ${seed} failed:\n  ${what}\n  logs: ${kept}\n  again: ${commandFor(seed)}\n`);
      });
      results.push(result);
      process.stdout.write(describeRun(result));
      if (result.problems.length === 0) continue;
      process.stdout.write(failures.at(-1) ?? '');
      // What a failed run leaves is no part of the next one.
      await pair.end();
      pair = await DaemonPair.start(surroundings);
    }
  } finally {
    await pair.end();
  }
  for (const name of skipped.keys())
    process.stdout.write(`${name} is skipped: it takes root to mount a file system\n`);
  process.stdout.write(`\n${faultTable(results, skipped)}\n${summarize(results)}`);
  process.stdout.write(failures.length === 0 ? '' : `\n${failures.join('')}`);
  return failures.length === 0 && results.length > 0 ? 0 : 1;
}

// Ends the processes too, which a signal by itself would leave.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
try {
  process.exitCode = await main(parseCommandLine(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n\n${USAGE}`,
  );
  process.exitCode = 2;
}
