/**
 * What the design has and this version has not yet, and what stands in the wrong place: such fields and values are
 * refused by name, never ignored.
 * Invariant: the schemas know nothing of these tables; they only improve what is said about a body that is refused, so
 * a forgotten row gives a poorer message and never lets a field through.
 */
import type { z } from 'zod';
import { migrateBody, migrationCapabilities, parametersBody } from './api.ts';
import { parameterShape } from './parameters.ts';
import { type BodyError, ProblemError } from './problem.ts';

/** Field name → what to say. The names mean the same thing wherever they stand. */
const unsupportedFields: Readonly<Record<string, string>> = {
  tls: 'TLS on the data port is not available yet',
  verify: 'verification by a cryptographic hash is not available yet',
  'cpu-throttle-initial': 'auto-converge is not available yet',
  'cpu-throttle-increment': 'auto-converge is not available yet',
  'max-cpu-throttle': 'auto-converge is not available yet',
  'avail-switchover-bandwidth': 'stating the switchover bandwidth is not available yet',
  'multifd-compression': 'compression is not available yet',
  'tls-creds': 'TLS on the data port is not available yet',
};

type UnsupportedValue = {
  readonly field: string;
  readonly matches: (value: unknown) => boolean;
  readonly message: string;
};

const unsupportedValues: readonly UnsupportedValue[] = [
  {
    field: 'auto-converge',
    matches: (value) => value === true,
    message: 'auto-converge is not available yet',
  },
];

/**
 * The output of `schema` for a request's body.
 * @throws ProblemError `unsupported-field` if everything wrong is only not available yet, `invalid-body` otherwise;
 * `errors` has every wrong place.
 */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const found = result.error.issues.flatMap((issue) => explainIssue(issue, schema, body));
  const errors = found.map(({ path, message }) => ({ path, message }));
  const name = found.every((each) => each.isUnsupported) ? 'unsupported-field' : 'invalid-body';
  throw new ProblemError(name, errors.map(inOneLine).join('; '), { errors });
}

type Explained = BodyError & { readonly isUnsupported: boolean };

function explainIssue(issue: z.core.$ZodIssue, schema: z.ZodType, body: unknown): readonly Explained[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => explainUnknownField([...issue.path, key], schema));
  }
  const field = String(issue.path.at(-1) ?? '');
  const value = valueAt(body, issue.path);
  const row = unsupportedValues.find((each) => each.field === field && each.matches(value));
  const path = issue.path.map(String).join('.');
  if (row !== undefined) return [{ path, message: row.message, isUnsupported: true }];
  return [{ path, message: value === undefined ? missing(issue) : issue.message, isUnsupported: false }];
}

function explainUnknownField(path: readonly PropertyKey[], schema: z.ZodType): Explained {
  const field = String(path.at(-1));
  const known = Object.hasOwn(unsupportedFields, field) ? unsupportedFields[field] : undefined;
  return {
    path: path.map(String).join('.'),
    message: known ?? misplaced(path, schema) ?? 'there is no such field',
    isUnsupported: known !== undefined,
  };
}

/** What to say about a field that there is, in another place than `path` of this schema's body. */
function misplaced(path: readonly PropertyKey[], schema: z.ZodType): string | undefined {
  const [first, second] = path;
  if (schema === parametersBody && path.length === 1) return notLive(String(first));
  const isParameter = schema === migrateBody && first === 'parameters' && path.length === 2;
  return isParameter && Object.hasOwn(migrationCapabilities.shape, String(second))
    ? 'is a capability: give it in "capabilities"'
    : undefined;
}

function notLive(name: string): string | undefined {
  if (!Object.hasOwn(parameterShape, name)) return undefined;
  const where = name === 'xbzrle-cache-size' ? 'PUT /cache-size changes it' : 'it is given in POST /migrate';
  return `cannot be changed while a migration runs; ${where}`;
}

function missing(issue: z.core.$ZodIssue): string {
  return issue.path.length === 0 ? 'a JSON body is needed' : 'is required';
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  let value = body;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function inOneLine({ path, message }: BodyError): string {
  return path === '' ? message : `${path}: ${message}`;
}
