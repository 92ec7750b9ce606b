/** The command line of the runs. */
import { parseArgs } from 'node:util';
import { ALL_FAULTS, FAULTS, type FaultName } from './fault.ts';
import type { ChaosOptions } from './plan.ts';

export const USAGE = `npm run test:chaos -- [options]
  --runs N         how many runs (default 50)
  --seed S         seed of the first run, the others follow (default 1)
  --seconds T      begin no run after this time (default: no limit)
  --streams N-M    data connections, one number or a range (default 1-3)
  --tracker NAME   scan or soft-dirty; with soft-dirty the guest maps its memory (default scan)
  --faults A,B     draw from these faults only: ${FAULTS.join(', ')};
                   and netem, which disturbs this machine's loopback for everybody
`;

export interface CommandLine extends ChaosOptions {
  readonly runCount: number;
  readonly firstSeed: number;
  readonly seconds: number;
  /** What repeats the run of a seed. */
  readonly commandFor: (seed: number) => string;
}

/** Throws an `Error` whose message is for the person at the command line. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string', default: '50' },
      seed: { type: 'string', default: '1' },
      seconds: { type: 'string' },
      streams: { type: 'string', default: '1-3' },
      tracker: { type: 'string', default: 'scan' },
      faults: { type: 'string' },
    },
  });
  const faults = values.faults === undefined ? FAULTS : parseFaults(values.faults);
  const tracker = parseTracker(values.tracker);
  const more = `${tracker === 'scan' ? '' : ` --tracker ${tracker}`}${values.faults === undefined ? '' : ` --faults ${values.faults}`}`;
  return {
    runCount: parseCount('runs', values.runs),
    firstSeed: parseCount('seed', values.seed),
    seconds: values.seconds === undefined ? Infinity : parseCount('seconds', values.seconds),
    streams: parseRange(values.streams),
    faults,
    tracker,
    commandFor: (seed) => `npm run test:chaos -- --runs 1 --seed ${seed} --streams ${values.streams}${more}`,
  };
}

function parseCount(name: string, text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count < 2 ** 32) return count;
  throw new Error(`--${name} is a whole number below 2^32, not ${text}`);
}

function parseRange(text: string): ChaosOptions['streams'] {
  const [, first, last = first] = /^([1-9]|1[0-6])(?:-([1-9]|1[0-6]))?$/.exec(text) ?? [];
  const range = { least: Number(first), most: Number(last) };
  if (range.least <= range.most) return range;
  throw new Error(`--streams is a number or a range from 1 to 16, as in 1-3, not ${text}`);
}

function parseTracker(name: string): ChaosOptions['tracker'] {
  if (name === 'scan' || name === 'soft-dirty') return name;
  throw new Error(`--tracker is scan or soft-dirty, not ${name}`);
}

function parseFaults(text: string): readonly FaultName[] {
  return text.split(',').map((name) => {
    const fault = ALL_FAULTS.find((candidate) => candidate === name);
    if (fault === undefined) throw new Error(`there is no fault ${name}, only ${ALL_FAULTS.join(', ')}`);
    return fault;
  });
}
