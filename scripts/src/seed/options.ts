// Command line of bench:seed. The defaults are the experiment; smaller values are for a quick look.
import { parseArgs } from 'node:util';
import { parseBytes, parseNumber, parseSize } from '../workload/options.ts';

export const USAGE = `bench:seed [options]
  --size BYTES         the guest's memory; K, M and G count in powers of 1024 (default 1G)
  --rounds N           rounds after the bulk stage, neither fewer nor more (default 30)
  --max-bandwidth N    bytes a second (default 32M)
`;

export interface SeedOptions {
  readonly sizeBytes: number;
  readonly roundCount: number;
  readonly maxBandwidth: number;
}

/** `null`: help was asked for. Throws an `Error` whose message is for the person at the command line. */
export function parseSeedOptions(args: readonly string[]): SeedOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      size: { type: 'string', default: '1G' },
      rounds: { type: 'string', default: '30' },
      'max-bandwidth': { type: 'string', default: '32M' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const roundCount = parseNumber('rounds', values.rounds);
  if (roundCount === 0) throw new Error('--rounds is 1 at least');
  return {
    sizeBytes: parseSize('size', values.size),
    roundCount,
    maxBandwidth: parseBytes('max-bandwidth', values['max-bandwidth']),
  };
}
