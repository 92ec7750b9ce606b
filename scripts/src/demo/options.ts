// Command line of the demo.
import { parameterRows, parameterShape } from '@pageferry/protocol';
import { parseArgs } from 'node:util';
import { parseBytes, parseNumber, parseShare, parseSize } from '../workload/options.ts';

export const USAGE = `demo [options]
  --size BYTES         the guest's memory; K, M and G count in powers of 1024 (default 1G)
  --zero-share 0..1    share of zero pages at the beginning (default 0.42)
  --streams N          data connections (default 1)
  --max-bandwidth N    bytes a second, K, M and G as above, 0 is no limit (default 0)
  --downtime-limit MS  longest pause that is aimed at (default 1000: both files are read whole in the pause)
  --rate N             random pages that the guest writes a second (default 1000)
  --break              change one byte at the destination before the comparison, to see that it is noticed
`;

export interface DemoOptions {
  readonly sizeBytes: number;
  readonly zeroShare: number;
  readonly streamCount: number;
  readonly maxBandwidth: number;
  readonly downtimeLimitMs: number;
  readonly ratePerSecond: number;
  readonly isBroken: boolean;
}

/** `null`: help was asked for. Throws an `Error` whose message is for the person at the command line. */
export function parseDemoOptions(args: readonly string[]): DemoOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      size: { type: 'string', default: '1G' },
      'zero-share': { type: 'string', default: '0.42' },
      streams: { type: 'string', default: '1' },
      'max-bandwidth': { type: 'string', default: '0' },
      'downtime-limit': { type: 'string', default: '1000' },
      rate: { type: 'string', default: '1000' },
      break: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  return {
    sizeBytes: parseSize('size', values.size),
    zeroShare: parseShare('zero-share', values['zero-share']),
    streamCount: withinRange('streams', 'multifd-channels', parseNumber('streams', values.streams)),
    maxBandwidth: parseBytes('max-bandwidth', values['max-bandwidth']),
    downtimeLimitMs: withinRange(
      'downtime-limit',
      'downtime-limit',
      parseNumber('downtime-limit', values['downtime-limit']),
    ),
    ratePerSecond: parseNumber('rate', values.rate),
    isBroken: values.break,
  };
}

/** What a migration would refuse is refused before anything is made. */
function withinRange(
  option: string,
  parameter: 'multifd-channels' | 'downtime-limit',
  value: number,
): number {
  if (parameterShape[parameter].safeParse(value).success) return value;
  const range = parameterRows().find(({ name }) => name === parameter)?.range;
  throw new Error(`--${option} is ${range}, not ${value}`);
}
