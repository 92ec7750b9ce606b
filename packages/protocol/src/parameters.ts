/**
 * The one table of migration parameters: name, unit, default, range, live or not, whose side, what it does.
 * Invariant: everything else about parameters (the body of POST /migrate, PATCH /parameters, the defaults, the
 * rows of the documentation) is derived from `parameterShape`; nothing repeats a default or a range.
 * Names are QMP's where QMP has the parameter, and so are the units: bytes, milliseconds, bytes a second.
 */
import { z } from 'zod';
import { PAGE_SIZE_BYTES, STREAMS_MAX } from './limits.ts';

/** What one stream's cache may hold: WebAssembly memory ends at 4 GiB and a cache needs room besides its pages. */
export const CACHE_BYTES_PER_STREAM_MAX = 2 ** 31;
export const CACHE_BYTES_MAX = CACHE_BYTES_PER_STREAM_MAX * STREAMS_MAX;

export type Side = 'source' | 'destination';
export type ParameterUnit =
  'bytes' | 'bytes/s' | 'ms' | 'channels' | 'rounds' | 'attempts' | 'choice' | 'flag';

/** What the schema itself cannot say about a parameter. `live` means that PATCH /parameters may change it. */
export type ParameterFacts = {
  readonly unit: ParameterUnit;
  readonly live: boolean;
  readonly sides: readonly Side[];
  readonly description: string;
};

const parameterFacts = z.registry<ParameterFacts>();

/** Bytes: a power of two, at least one page (QMP's rule for xbzrle-cache-size). */
export const cacheSizeBytes = z
  .int()
  .min(PAGE_SIZE_BYTES, { error: `must be at least one page, ${PAGE_SIZE_BYTES} bytes` })
  .max(CACHE_BYTES_MAX, {
    error: `must be at most ${CACHE_BYTES_MAX} bytes (${CACHE_BYTES_PER_STREAM_MAX} a stream)`,
  })
  .refine((bytes) => Number.isInteger(Math.log2(bytes)), {
    error: 'must be a power of two',
    when: isSoundSoFar,
  });

/** Cross-checks wait for sound values, so that one mistake gives one message. */
function isSoundSoFar({ issues }: { readonly issues: readonly unknown[] }): boolean {
  return issues.length === 0;
}

const bytesPerSecond = z.int().min(0);
const timeoutMs = z.int().min(100).max(600_000);

/** One row a parameter. The descriptions are what the documentation prints. */
export const parameterShape = {
  'max-bandwidth': bytesPerSecond.default(0).register(parameterFacts, {
    unit: 'bytes/s',
    live: true,
    sides: ['source'],
    description: 'Cap on what all streams together send before the final round; 0 is no limit',
  }),
  'downtime-limit': z
    .int()
    .min(0)
    .max(2_000_000)
    .default(300)
    .register(parameterFacts, {
      unit: 'ms',
      live: true,
      sides: ['source'],
      description: 'The guest is paused for the final round once the predicted pause is not longer than this',
    }),
  'xbzrle-cache-size': cacheSizeBytes.default(64 * 1024 * 1024).register(parameterFacts, {
    unit: 'bytes',
    live: false,
    sides: ['source'],
    description:
      'Cache for deltas, all streams together; a power of two, at most 2 GiB a stream; PUT /cache-size changes it',
  }),
  'xbzrle-stage': z
    .enum(['after-bulk', 'always'])
    .default('after-bulk')
    .register(parameterFacts, {
      unit: 'choice',
      live: false,
      sides: ['source'],
      description:
        'Whether the bulk stage leaves deltas and cache alone (after-bulk) or uses them too (always)',
    }),
  'xbzrle-eviction': z
    .enum(['age', 'newest'])
    .default('age')
    .register(parameterFacts, {
      unit: 'choice',
      live: false,
      sides: ['source'],
      description:
        'Cache collisions: a young entry is protected (age, QEMU since 2.3) or the newest page wins',
    }),
  'multifd-channels': z
    .int()
    .min(1)
    .max(STREAMS_MAX)
    .default(1)
    .register(parameterFacts, {
      unit: 'channels',
      live: false,
      sides: ['source'],
      description: 'Data connections, each with its own shard of memory',
    }),
  'min-rounds': z
    .int()
    .min(0)
    .max(1000)
    .default(0)
    .register(parameterFacts, {
      unit: 'rounds',
      live: false,
      sides: ['source'],
      description: 'Rounds after the bulk stage before a switchover is considered',
    }),
  'max-rounds': z
    .int()
    .min(1)
    .max(1000)
    .default(30)
    .register(parameterFacts, {
      unit: 'rounds',
      live: false,
      sides: ['source'],
      description: 'Rounds after the bulk stage after which on-no-convergence decides',
    }),
  'on-no-convergence': z
    .enum(['cancel', 'switchover'])
    .default('cancel')
    .register(parameterFacts, {
      unit: 'choice',
      live: false,
      sides: ['source'],
      description: 'What happens after max-rounds without convergence',
    }),
  'destination-reread': z
    .boolean()
    .default(false)
    .register(parameterFacts, {
      unit: 'flag',
      live: false,
      sides: ['source'],
      description:
        'The destination reads back and digests what it wrote, while the line is idle; what is left of that makes the pause longer',
    }),
  'connect-timeout': timeoutMs.default(5000).register(parameterFacts, {
    unit: 'ms',
    live: false,
    sides: ['source'],
    description: 'Time for one TCP connection to be made',
  }),
  'hello-timeout': timeoutMs.default(5000).register(parameterFacts, {
    unit: 'ms',
    live: false,
    sides: ['source', 'destination'],
    description:
      'Silence after which an answer to hello is not waited for any longer (source); time for a complete hello (destination)',
  }),
  'ping-interval': timeoutMs.default(1000).register(parameterFacts, {
    unit: 'ms',
    live: false,
    sides: ['source', 'destination'],
    description: 'Time between pings on the control connection',
  }),
  'ping-timeout': timeoutMs.default(5000).register(parameterFacts, {
    unit: 'ms',
    live: false,
    sides: ['source', 'destination'],
    description: 'Silence after which the control connection counts as dead',
  }),
  'switchover-timeout': timeoutMs.default(30_000).register(parameterFacts, {
    unit: 'ms',
    live: false,
    sides: ['source'],
    description:
      'Longest pause before the commit; then the guest resumes at the source. Never ends a committed one',
  }),
  'reconnect-limit': z
    .int()
    .min(0)
    .max(1_000_000)
    .default(0)
    .register(parameterFacts, {
      unit: 'attempts',
      live: false,
      sides: ['source'],
      description:
        'Attempts in a row to go on with a migration that was interrupted before the commit; 0 gives up at once',
    }),
};

type PingTimes = { readonly 'ping-interval': number; readonly 'ping-timeout': number };
const arePingTimesInOrder = (given: PingTimes) => given['ping-interval'] < given['ping-timeout'];
const pingTimesOutOfOrder = {
  path: ['ping-interval'],
  error: 'must be less than ping-timeout',
  when: isSoundSoFar,
};

const areRoundsInOrder = (given: { readonly 'min-rounds': number; readonly 'max-rounds': number }) =>
  given['min-rounds'] <= given['max-rounds'];
const roundsOutOfOrder = {
  path: ['min-rounds'],
  error: 'must not be greater than max-rounds',
  when: isSoundSoFar,
};

/** The source's parameters, which are all of them, defaults filled in; unknown names are errors. */
export const migrationParameters = z
  .strictObject(parameterShape)
  .refine(areRoundsInOrder, roundsOutOfOrder)
  .refine((given) => given['xbzrle-cache-size'] <= CACHE_BYTES_PER_STREAM_MAX * given['multifd-channels'], {
    path: ['xbzrle-cache-size'],
    error: `must be at most ${CACHE_BYTES_PER_STREAM_MAX} bytes a stream`,
    when: isSoundSoFar,
  })
  .refine(arePingTimesInOrder, pingTimesOutOfOrder);
export type MigrationParameters = z.output<typeof migrationParameters>;

/**
 * What POST /migrate may say: as above, but what PATCH /parameters and PUT /cache-size set beforehand holds where
 * the request says nothing, so these have no default here. The daemon completes them by `migrationParameters`.
 */
export const givenParameters = z
  .strictObject({
    ...parameterShape,
    'max-bandwidth': parameterShape['max-bandwidth'].unwrap().optional(),
    'downtime-limit': parameterShape['downtime-limit'].unwrap().optional(),
    'xbzrle-cache-size': parameterShape['xbzrle-cache-size'].unwrap().optional(),
  })
  .refine(areRoundsInOrder, roundsOutOfOrder)
  .refine(arePingTimesInOrder, pingTimesOutOfOrder);

/** The destination's parameters, given to POST /incoming. */
export const incomingParameters = z
  .strictObject({
    'hello-timeout': parameterShape['hello-timeout'],
    'ping-interval': parameterShape['ping-interval'],
    'ping-timeout': parameterShape['ping-timeout'],
  })
  .refine(arePingTimesInOrder, pingTimesOutOfOrder);
export type IncomingParameters = z.output<typeof incomingParameters>;

/** What may change while a migration runs: the live rows, none of them with a default. */
export const liveParameters = z
  .strictObject({
    'max-bandwidth': parameterShape['max-bandwidth'].unwrap().optional(),
    'downtime-limit': parameterShape['downtime-limit'].unwrap().optional(),
  })
  .refine((given) => Object.keys(given).length > 0, {
    error: 'must name at least one parameter',
    when: isSoundSoFar,
  });
export type LiveParameters = z.output<typeof liveParameters>;

/** All defaults, a new object each time. */
export function defaultParameters(): MigrationParameters {
  return migrationParameters.parse({});
}

/** A row of the parameter table as the documentation prints it. `range` is in words. */
export type ParameterRow = ParameterFacts & {
  readonly name: string;
  readonly default: string;
  readonly range: string;
};

/** The whole table, in its order. */
export function parameterRows(): readonly ParameterRow[] {
  return Object.entries(parameterShape).map(([name, schema]) => {
    const facts = parameterFacts.get(schema);
    if (facts === undefined) throw new Error(`parameter ${name} has no facts`);
    const { default: standard, ...rest } = z.toJSONSchema(schema, { io: 'input' });
    return { name, ...facts, default: String(standard), range: rangeInWords(rest) };
  });
}

function rangeInWords(schema: z.core.JSONSchema.BaseSchema): string {
  if (schema.type === 'boolean') return 'true or false';
  if (schema.enum !== undefined) return schema.enum.map(String).join(' or ');
  if (schema.const !== undefined) return String(schema.const);
  const highest = schema.maximum === Number.MAX_SAFE_INTEGER ? '2^53 - 1' : String(schema.maximum);
  return `${String(schema.minimum)} to ${highest}`;
}
