// Command line of the workload: which plan, on which image, and how it begins.
import { parseArgs } from 'node:util';
import { PAGE_BYTES } from './initial-image.ts';
import type { WorkloadPlan } from './lane.ts';

export const USAGE = `guest-workload --image PATH [options]
  --image PATH            memory image, written in place
  --program NAME          docs (16 MiB, one byte in 1,024 incremented pass after pass), random or both (default random)
  --seed N                decides every operation (default 1)
  --first-page N          first page that may be written (default 0)
  --pages N               how many pages may be written (default: to the end of the image)
  --zero-share 0..1       share of random operations that make a page zero (default 0.1)
  --rate N                operations a second, 0 is as fast as possible (default 1000); with "both" the random lane's
  --docs-rate N           operations (pages) a second of the docs lane, with "both" (default 0)
  --operations N          end after this operation of every lane (default: never)
  --log PATH              append every operation here
  --write-with HOW        pwrite, or mapping: through a shared mapping, as a VMM's guest does (default pwrite)
  --instance NAME         who this is in the log, one word (default source)
  --start-at WHERE        fresh, or continue: go on after the log's last operation, check the image first
  --initial-seed N        seed of make-image; with it, continue checks pages too
  --initial-zero-share N  zero share of make-image (default 0)
  --verify N              pages that continue checks, or all (default 256)
`;

const UNITS = new Map([
  ['', 1],
  ['K', 2 ** 10],
  ['M', 2 ** 20],
  ['G', 2 ** 30],
]);

export interface WorkloadOptions {
  readonly image: string;
  readonly plan: WorkloadPlan;
  readonly ratePerSecond: number;
  readonly docsRatePerSecond: number;
  readonly lastOperation: number;
  readonly log: string | null;
  readonly isMapped: boolean;
  readonly instance: string;
  readonly isContinued: boolean;
  readonly initial: { readonly seed: number; readonly zeroShare: number } | null;
  readonly verifiedPages: number | 'all';
}

const STRINGS = {
  image: { type: 'string' },
  program: { type: 'string', default: 'random' },
  seed: { type: 'string', default: '1' },
  'first-page': { type: 'string', default: '0' },
  pages: { type: 'string' },
  'zero-share': { type: 'string', default: '0.1' },
  rate: { type: 'string', default: '1000' },
  'docs-rate': { type: 'string', default: '0' },
  operations: { type: 'string' },
  log: { type: 'string' },
  'write-with': { type: 'string', default: 'pwrite' },
  instance: { type: 'string', default: 'source' },
  'start-at': { type: 'string', default: 'fresh' },
  'initial-seed': { type: 'string' },
  'initial-zero-share': { type: 'string', default: '0' },
  verify: { type: 'string', default: '256' },
} as const;

/** Throws an `Error` whose message is for the person at the command line. `sizeOf` gives an image's size in bytes. */
export function parseWorkloadOptions(
  args: readonly string[],
  sizeOf: (path: string) => number,
): WorkloadOptions {
  const { values } = parseArgs({ args: [...args], options: STRINGS });
  if (values.image === undefined) throw new Error('--image is missing');
  const first = parseNumber('first-page', values['first-page']);
  const imagePages = Math.floor(sizeOf(values.image) / PAGE_BYTES);
  const count = values.pages === undefined ? imagePages - first : parseNumber('pages', values.pages);
  if (first + count > imagePages) throw new Error(`the image has only ${imagePages} pages`);
  const initialSeed = values['initial-seed'];
  const initialShare = parseShare('initial-zero-share', values['initial-zero-share']);
  return {
    image: values.image,
    plan: {
      program: parseChoice('program', values.program, ['docs', 'random', 'both']),
      seed: parseNumber('seed', values.seed),
      range: { first, count },
      zeroShare: parseShare('zero-share', values['zero-share']),
    },
    ratePerSecond: parseNumber('rate', values.rate),
    docsRatePerSecond: parseNumber('docs-rate', values['docs-rate']),
    lastOperation: values.operations === undefined ? Infinity : parseNumber('operations', values.operations),
    log: values.log ?? null,
    isMapped: parseChoice('write-with', values['write-with'], ['pwrite', 'mapping']) === 'mapping',
    instance: values.instance,
    isContinued: parseChoice('start-at', values['start-at'], ['fresh', 'continue']) === 'continue',
    initial:
      initialSeed === undefined
        ? null
        : { seed: parseNumber('initial-seed', initialSeed), zeroShare: initialShare },
    verifiedPages: values.verify === 'all' ? 'all' : parseNumber('verify', values.verify),
  };
}

/** Whole numbers that fit a header's 32 bits. */
export function parseNumber(name: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value < 2 ** 32) return value;
  throw new Error(`--${name} is a whole number below 2^32, not ${text}`);
}

export function parseShare(name: string, text: string): number {
  const value = Number(text);
  if (text !== '' && value >= 0 && value <= 1) return value;
  throw new Error(`--${name} is between 0 and 1, not ${text}`);
}

export function parseChoice<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text);
  if (choice !== undefined) return choice;
  throw new Error(`--${name} is ${choices.join(' or ')}, not ${text}`);
}

/** A number, or a number and K, M or G (powers of 1024). */
export function parseBytes(name: string, text: string): number {
  const [, count, unit = ''] = /^(\d+)([KMG]?)$/.exec(text) ?? [];
  const bytes = Number(count) * (UNITS.get(unit) ?? NaN);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new Error(`--${name} is a number of bytes, K, M or G may follow, not ${text}`);
}

/** As `parseBytes`; a multiple of the page size, not 0. */
export function parseSize(name: string, text: string): number {
  const sizeBytes = parseBytes(name, text);
  if (sizeBytes > 0 && sizeBytes % PAGE_BYTES === 0) return sizeBytes;
  throw new Error(`--${name} is a multiple of ${PAGE_BYTES}, not ${text}`);
}
