/**
 * The options of a daemon: one table of zod schemas with their facts; flags, environment names, the file's keys and
 * --help all come from it.
 * Invariant: an option's default and range stand in its schema and nowhere else.
 */
import { z } from 'zod';

/**
 * `form` says how a flag's or a variable's text becomes the value that the schema judges: as it is, as an integer, as
 * a flag without argument (true, false, 1 or 0 in the environment), or as JSON. `unit` is what --help prints.
 */
export type OptionFacts = {
  readonly form: 'text' | 'integer' | 'flag' | 'json';
  readonly unit: string;
  readonly description: string;
};

const optionFacts = z.registry<OptionFacts>();

/** A row of the table: a schema that accepts undefined (by a default or as optional), and its facts. */
export function option<Schema extends z.ZodType>(schema: Schema, facts: OptionFacts): Schema {
  optionFacts.add(schema, facts);
  return schema;
}

/** An option as --help prints it and the flags' parser needs it. */
export type OptionRow = OptionFacts & { readonly name: string; readonly default: unknown };

/** The rows of a table, in its order. */
export function rowsOf(shape: z.ZodRawShape): readonly OptionRow[] {
  return Object.entries(shape).map(([name, schema]) => {
    const facts = schema instanceof z.ZodType ? optionFacts.get(schema) : undefined;
    if (facts === undefined) throw new Error(`option ${name} has no facts`);
    return { name, ...facts, default: schema instanceof z.ZodDefault ? schema.parse(undefined) : undefined };
  });
}

/** The environment variable of an option: `PAGEFERRY_` and the name in capitals with underscores. */
export function variableName(option: string): string {
  return `PAGEFERRY_${option.toUpperCase().replaceAll('-', '_')}`;
}
