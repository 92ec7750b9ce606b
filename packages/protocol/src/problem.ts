/**
 * RFC 9457 problems: the one table of problem names, and the error class that carries one.
 * Invariant: a `type` is always `urn:pageferry:problem:NAME` with NAME from the table, and a name's HTTP status
 * and title never vary; what varies is in `detail`, `errors` and the extension members.
 * The decision: `phase`, `peer`, `retryable` and `hint` are in every problem that can have them, so that a caller of
 * the source learns what went wrong at the destination, and whether trying again helps.
 */
import { z } from 'zod';

type ProblemRow = { readonly status: number; readonly title: string; readonly retryable: boolean };

/** Name → HTTP status, title, and whether the same request can succeed later without being changed. */
export const problems = {
  'invalid-body': { status: 400, title: 'The request body is not valid', retryable: false },
  'unsupported-field': {
    status: 400,
    title: 'The request asks for what is not available yet',
    retryable: false,
  },
  'wrong-content-type': { status: 415, title: 'The request body is not application/json', retryable: false },
  'body-too-large': { status: 413, title: 'The request body is too large', retryable: false },
  'wrong-host': { status: 421, title: 'The Host header names another machine', retryable: false },
  'wrong-origin': {
    status: 403,
    title: 'The request comes from a web page of another origin',
    retryable: false,
  },
  unauthorized: { status: 401, title: 'The bearer token is missing or wrong', retryable: false },
  'not-found': { status: 404, title: 'There is no such path', retryable: false },
  'method-not-allowed': { status: 405, title: 'The path has no such method', retryable: false },
  'bad-request': { status: 400, title: 'The request is malformed', retryable: false },

  'unknown-block': { status: 422, title: 'The two sides do not name the same RAM blocks', retryable: false },
  'image-missing': { status: 422, title: 'The memory image does not exist', retryable: false },
  'image-exists': { status: 409, title: 'The memory image exists already', retryable: false },
  'image-not-a-file': { status: 422, title: 'The memory image is not a regular file', retryable: false },
  'image-size': { status: 422, title: 'The memory image has the wrong size', retryable: false },
  'image-outside-root': {
    status: 403,
    title: 'The memory image is outside the image root',
    retryable: false,
  },
  'image-permission': { status: 403, title: 'The memory image may not be opened', retryable: false },
  'image-mapped': { status: 409, title: 'Another process maps the memory image', retryable: false },
  'image-locked': { status: 409, title: 'Another migration holds the memory image', retryable: true },
  'image-truncated': { status: 500, title: 'The memory image was truncated while in use', retryable: false },
  'image-io': { status: 500, title: 'Reading or writing the memory image failed', retryable: false },
  'same-image': { status: 422, title: 'Source and destination image are the same file', retryable: false },
  'mappings-not-visible': {
    status: 403,
    title: 'It cannot be seen who maps the memory image',
    retryable: false,
  },
  'cache-size': { status: 422, title: 'The cache size is not possible', retryable: false },

  'token-refused': { status: 403, title: 'The destination refused the token', retryable: false },
  'version-mismatch': {
    status: 502,
    title: 'The two sides have no protocol version in common',
    retryable: false,
  },
  'hello-rejected': { status: 422, title: 'The destination refused the migration', retryable: false },
  'port-in-use': { status: 409, title: 'The address to listen on is taken', retryable: true },
  'listen-failed': { status: 422, title: 'Listening on the address failed', retryable: false },
  'plain-tcp-refused': {
    status: 422,
    title: 'Plain TCP beyond loopback was not asked for',
    retryable: false,
  },
  'peer-unreachable': { status: 502, title: 'The peer cannot be reached', retryable: true },
  'peer-timeout': { status: 504, title: 'The peer did not answer in time', retryable: true },
  'link-lost': { status: 502, title: 'The connection to the peer was lost', retryable: true },
  'protocol-violation': { status: 502, title: 'The peer broke the wire protocol', retryable: false },

  'migration-running': { status: 409, title: 'A migration is running', retryable: true },
  'migration-unknown': { status: 404, title: 'That migration is not the current one', retryable: false },
  'nothing-to-cancel': { status: 409, title: 'No migration is running', retryable: false },
  'past-point-of-no-return': { status: 409, title: 'The migration is committed', retryable: false },
  'nothing-to-take-over': {
    status: 409,
    title: 'There is no guest to take over',
    retryable: false,
  },
  'peer-connected': { status: 409, title: 'The peer is connected', retryable: true },
  'taken-over': { status: 409, title: 'The operator took the guest over', retryable: false },
  'two-owners': { status: 409, title: 'Both sides say that they own the guest', retryable: false },
  'not-in-pre-switchover': { status: 409, title: 'The migration is not in pre-switchover', retryable: false },
  'not-armed': { status: 409, title: 'No incoming migration is armed', retryable: false },
  cancelled: { status: 409, title: 'The migration was cancelled', retryable: true },
  'no-convergence': { status: 500, title: 'The migration did not converge', retryable: true },
  'switchover-timeout': { status: 504, title: 'The switchover took too long', retryable: true },
  'roots-differ': { status: 500, title: 'What was applied differs from what was sent', retryable: true },
  'engine-died': { status: 500, title: 'The engine ended, or could not go on', retryable: true },
  'journal-failed': { status: 500, title: 'The journal cannot be written', retryable: false },

  'guest-unavailable': { status: 422, title: 'The guest cannot be controlled', retryable: false },
  'monitor-outside-root': {
    status: 403,
    title: "The QEMU's monitor is outside the monitors' root",
    retryable: false,
  },
  'guest-command-unknown': {
    status: 422,
    title: 'The configuration has no such guest command',
    retryable: false,
  },
  'rolled-back': {
    status: 500,
    title: 'The migration was given up before the commit',
    retryable: true,
  },
  'guest-failed': { status: 500, title: 'The guest failed', retryable: false },
  internal: { status: 500, title: 'Something unexpected happened', retryable: false },
} as const satisfies Record<string, ProblemRow>;

export type ProblemName = keyof typeof problems;

const TYPE_PREFIX = 'urn:pageferry:problem:';

/** One wrong place in a body. `path` is dotted, with indexes: `blocks.0.path`; empty for the body itself. */
export const bodyError = z.object({ path: z.string(), message: z.string() });
export type BodyError = z.output<typeof bodyError>;

/** A problem as it is answered (application/problem+json) and as it stands in a status. */
export const problemDetails = z.object({
  type: z.string().startsWith(TYPE_PREFIX),
  title: z.string(),
  status: z.int().min(400).max(599),
  detail: z.string(),
  /** `pageferry.phase` when it happened. */
  phase: z.string().optional(),
  /** The side that found the problem. */
  peer: z.enum(['source', 'destination']).optional(),
  retryable: z.boolean(),
  hint: z.string().optional(),
  /** Every wrong place of a body, for invalid-body and unsupported-field. */
  errors: z.array(bodyError).optional(),
  /** The migration that the problem is about, for migration-running. */
  'migration-id': z.string().optional(),
  /** Why the guest cannot be migrated, for guest-unavailable; as in QMP's MigrationInfo. */
  'blocked-reasons': z.array(z.string()).optional(),
});
export type ProblemDetails = z.output<typeof problemDetails>;

/** What may accompany a name and a detail. `retryable` overrides the table. */
export type ProblemExtras = Partial<
  Pick<
    ProblemDetails,
    'phase' | 'peer' | 'retryable' | 'hint' | 'errors' | 'migration-id' | 'blocked-reasons'
  >
>;

export function problemType(name: ProblemName): string {
  return TYPE_PREFIX + name;
}

/** The table's name of a problem's `type`; undefined if it is none of ours (a newer peer's, say). */
export function problemName(type: string): ProblemName | undefined {
  const name = type.slice(TYPE_PREFIX.length);
  return type.startsWith(TYPE_PREFIX) && isProblemName(name) ? name : undefined;
}

/** A complete problem from a name and what is particular about it. */
export function describeProblem(
  name: ProblemName,
  detail: string,
  extras: ProblemExtras = {},
): ProblemDetails {
  const { status, title, retryable } = problems[name];
  return { type: problemType(name), title, status, detail, retryable, ...extras };
}

/** Thrown wherever a request or a migration fails for a reason that its caller should read. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: ProblemDetails;

  constructor(name: ProblemName, detail: string, extras: ProblemExtras & { readonly cause?: unknown } = {}) {
    const { cause, ...rest } = extras;
    super(detail, cause === undefined ? {} : { cause });
    this.problem = describeProblem(name, detail, rest);
  }
}

function isProblemName(name: string): name is ProblemName {
  return Object.hasOwn(problems, name);
}
