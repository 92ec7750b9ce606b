/**
 * The text of --help: every flag with its unit, default and variable, from the options' table.
 */
import { type OptionRow, variableName } from './options.ts';

export type HelpInput = {
  readonly program: string;
  readonly summary: string;
  readonly rows: readonly OptionRow[];
};

const OWN_FLAGS = `  --config <path>
      JSON file with the same names as keys; flags and environment come first
      no default, environment PAGEFERRY_CONFIG
  --print-config
      Print every value and where it came from, then end
  --version
      Print the version, then end
  --help
      Print this, then end
`;

export function helpText({ program, summary, rows }: HelpInput): string {
  return `${program}: ${summary}\n\nUsage: ${program} [options]\n\nOptions:\n${rows.map(helpRow).join('')}${OWN_FLAGS}`;
}

function helpRow(row: OptionRow): string {
  const argument = row.form === 'flag' ? '' : ` <${row.unit}>`;
  return (
    `  --${row.name}${argument}\n      ${row.description}\n` +
    `      ${defaultInWords(row.default)}, environment ${variableName(row.name)}\n`
  );
}

function defaultInWords(value: unknown): string {
  if (value === undefined) return 'no default';
  return `default ${typeof value === 'string' ? value : JSON.stringify(value)}`;
}
