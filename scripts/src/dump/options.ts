// Command line of dump-stream.
import { parseArgs } from 'node:util';
import type { Side } from '@pageferry/protocol';
import { parseChoice } from '../workload/options.ts';

export const USAGE = `dump-stream FILE [options]
  FILE         one direction of one connection, from its first byte on; - is standard input
  --side SIDE  who sent it: source or destination (default: the first bytes tell)
  --records    every run of pages, instead of a summary for each frame
  --json       an object a line
`;

const SIDES = ['source', 'destination'] as const;

export interface DumpOptions {
  readonly file: string;
  readonly side: Side | undefined;
  readonly showsRecords: boolean;
  readonly isJson: boolean;
}

/** `null`: help was asked for. Throws an `Error` whose message is for the person at the command line. */
export function parseDumpOptions(args: readonly string[]): DumpOptions | null {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      side: { type: 'string' },
      records: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new Error(`one file is expected\n${USAGE}`);
  return {
    file,
    side: values.side === undefined ? undefined : parseChoice('side', values.side, SIDES),
    showsRecords: values.records,
    isJson: values.json,
  };
}
