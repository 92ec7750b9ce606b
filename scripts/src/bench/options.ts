// Command line of the benchmarks.
import { parseArgs } from 'node:util';
import { parseChoice, parseNumber, parseSize } from '../workload/options.ts';

export const USAGE = `bench [options]
  --only WHAT   transfer (against cp and others), status (latency of GET /status), memory (of the engines),
                verification (resume, warm start, digest exchange, audit) or qemu (the pause of a real guest, beside
                QEMU's own migration; not part of what runs without --only)
  --size BYTES  of the image; K, M and G count in powers of 1024 (default 1G)
  --pairs N     alternating runs of transfer, migrations of status (default 5)
`;

const USUAL_PARTS = ['transfer', 'status', 'memory', 'verification'] as const;
const PARTS = [...USUAL_PARTS, 'qemu'] as const;
export type Part = (typeof PARTS)[number];

export interface BenchOptions {
  readonly parts: readonly Part[];
  readonly sizeBytes: number;
  readonly pairCount: number;
}

/** `null`: help was asked for. Throws an `Error` whose message is for the person at the command line. */
export function parseBenchOptions(args: readonly string[]): BenchOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      size: { type: 'string', default: '1G' },
      pairs: { type: 'string', default: '5' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const pairCount = parseNumber('pairs', values.pairs);
  if (pairCount === 0) throw new Error('--pairs is 1 at least');
  return {
    parts: values.only === undefined ? USUAL_PARTS : [parseChoice('only', values.only, PARTS)],
    sizeBytes: parseSize('size', values.size),
    pairCount,
  };
}
