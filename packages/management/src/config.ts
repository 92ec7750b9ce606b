/**
 * A daemon's configuration: flags, then environment (PAGEFERRY_...), then a JSON file (--config), then defaults.
 * Invariant: a daemon starts with a complete, validated configuration or not at all, and every error names the option
 * and where the value came from. An unknown flag or key of the file is an error; other PAGEFERRY_ variables are
 * ignored, since they may be another program's.
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { ManagementError } from './errors.ts';
import { helpText } from './help.ts';
import { type OptionRow, rowsOf, variableName } from './options.ts';

export type Origin = 'flag' | 'environment' | 'file' | 'default';

export type ConfigInput<Shape extends z.ZodRawShape> = {
  /** Of --help: the program's name and one line about it. */
  readonly program: string;
  readonly summary: string;
  readonly version: string;
  readonly options: Shape;
  /** Without node and script. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text of a file; throws if it cannot be read. */
  readonly readFile: (path: string) => string;
};

/** Run with the values, or print the text and end with success (--help, --version, --print-config). */
export type ConfigOutcome<Values> =
  | { readonly kind: 'run'; readonly values: Values; readonly origins: Readonly<Record<string, Origin>> }
  | { readonly kind: 'print'; readonly text: string };

/** @throws ManagementError `configuration`. */
export function loadConfig<Shape extends z.ZodRawShape>(
  input: ConfigInput<Shape>,
): ConfigOutcome<z.output<z.ZodObject<Shape>>> {
  const rows = rowsOf(input.options);
  const { own, flags } = parseFlags(input.argv, rows);
  if (own.help) return { kind: 'print', text: helpText({ ...input, rows }) };
  if (own.version) return { kind: 'print', text: `${input.program} ${input.version}\n` };
  const path = own.config ?? input.env[variableName('config')];
  const given = new Map([
    ...(path === undefined ? [] : readConfigFile(path, rows, input.readFile)),
    ...readEnvironment(input.env, rows),
    ...flags,
  ]);
  const values = validate(input.options, given);
  const origins = Object.fromEntries(
    rows.map(({ name }) => [name, given.get(name)?.origin ?? 'default'] as const),
  );
  if (!own.printConfig) return { kind: 'run', values, origins };
  return { kind: 'print', text: printedConfig(values, origins) };
}

type Given = { readonly value: unknown; readonly origin: Origin; readonly where: string };
type OwnFlags = {
  readonly help: boolean;
  readonly version: boolean;
  readonly printConfig: boolean;
  readonly config: string | undefined;
};

function parseFlags(argv: readonly string[], rows: readonly OptionRow[]) {
  const wanted = rows.map(
    ({ name, form }) => [name, { type: form === 'flag' ? 'boolean' : 'string' }] as const,
  );
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      options: {
        ...Object.fromEntries(wanted),
        help: { type: 'boolean' },
        version: { type: 'boolean' },
        'print-config': { type: 'boolean' },
        config: { type: 'string' },
      },
    }).values;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ManagementError(
      { code: 'configuration', option: '', origin: 'flag' },
      `${why} (see --help)`,
      error,
    );
  }
  const flags = rows.flatMap((row) => {
    const value: unknown = Reflect.get(parsed, row.name);
    return value === undefined ? [] : [[row.name, fromText(row, value, 'flag', `--${row.name}`)] as const];
  });
  const own: OwnFlags = {
    help: parsed.help === true,
    version: parsed.version === true,
    printConfig: parsed['print-config'] === true,
    config: parsed.config,
  };
  return { own, flags };
}

function readEnvironment(env: ConfigInput<z.ZodRawShape>['env'], rows: readonly OptionRow[]) {
  return rows.flatMap((row) => {
    const variable = variableName(row.name);
    const text = env[variable];
    return text === undefined ? [] : [[row.name, fromText(row, text, 'environment', variable)] as const];
  });
}

function readConfigFile(
  path: string,
  rows: readonly OptionRow[],
  readFile: (path: string) => string,
): readonly (readonly [string, Given])[] {
  const fail = (why: string, option = '', cause?: unknown) =>
    new ManagementError({ code: 'configuration', option, origin: path }, `${path}: ${why}`, cause);
  let content: unknown;
  try {
    content = JSON.parse(readFile(path));
  } catch (error) {
    throw fail(error instanceof Error ? error.message : String(error), '', error);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw fail('must be a JSON object of option names and values');
  }
  return Object.entries(content).map(([name, value]) => {
    if (!rows.some((row) => row.name === name)) throw fail(`there is no option ${name}`, name);
    return [name, { value, origin: 'file', where: `${name} in ${path}` }] as const;
  });
}

/** A flag's or variable's text as the value that the option's schema judges; unusable text stays text and fails there. */
function fromText(row: OptionRow, value: unknown, origin: Origin, where: string): Given {
  if (typeof value !== 'string') return { value, origin, where };
  switch (row.form) {
    case 'text':
      return { value, origin, where };
    case 'integer':
      return { value: /^-?\d+$/.test(value) ? Number(value) : value, origin, where };
    case 'flag':
      return { value: { true: true, '1': true, false: false, '0': false }[value] ?? value, origin, where };
    case 'json':
      try {
        return { value: JSON.parse(value), origin, where };
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        throw new ManagementError(
          { code: 'configuration', option: row.name, origin },
          `${where}: not JSON: ${why}`,
          error,
        );
      }
  }
}

function validate<Shape extends z.ZodRawShape>(
  shape: Shape,
  given: ReadonlyMap<string, Given>,
): z.output<z.ZodObject<Shape>> {
  const raw = Object.fromEntries([...given].map(([name, { value }]) => [name, value]));
  const result = z.object(shape).safeParse(raw);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const option = String(issue?.path[0] ?? '');
  const { where, origin } = given.get(option) ?? { where: option, origin: 'default' };
  const inside = (issue?.path.slice(1) ?? []).map((key) => `.${String(key)}`).join('');
  throw new ManagementError(
    { code: 'configuration', option, origin },
    `${where}${inside}: ${issue?.message ?? 'is not valid'}`,
  );
}

function printedConfig(values: object, origins: Readonly<Record<string, Origin>>): string {
  const rows = Object.entries(origins).map(([name, origin]) => {
    const value: unknown = Reflect.get(values, name);
    return [name, { value: value ?? null, origin }] as const;
  });
  return `${JSON.stringify(Object.fromEntries(rows), null, 2)}\n`;
}
