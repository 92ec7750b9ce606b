/**
 * The bodies and answers of the management API, and its route table.
 * Invariant: a body that passes its schema is complete (defaults filled in) and has no field that does nothing;
 * whatever is unknown is an error. Keys are QMP's, kebab-case, units bytes and milliseconds.
 */
import { z } from 'zod';
import { BLOCK_ID_MAX_BYTES, BLOCKS_MAX, TOKEN_MAX_CHARACTERS } from './limits.ts';
import {
  cacheSizeBytes,
  givenParameters,
  incomingParameters,
  liveParameters,
  migrationParameters,
  parameterShape,
} from './parameters.ts';
import { socketAddress, warning } from './status.ts';
import { parseTcpAddress } from './tcp-address.ts';

const PATH_MAX_BYTES = 4095;
/** sun_path has 108 bytes, the last of them zero. */
const SOCKET_PATH_MAX_BYTES = 107;

const blockId = z
  .string()
  .regex(/^[\x20-\x7e]+$/, { error: 'must be printable ASCII, not empty' })
  .max(BLOCK_ID_MAX_BYTES, { error: `must be at most ${BLOCK_ID_MAX_BYTES} bytes` });

const imagePath = z
  .string()
  .regex(/^\/[^\0]*$/, { error: 'must be an absolute path' })
  .max(PATH_MAX_BYTES);

/** `tcp:HOST:PORT` to connect to, so not port 0. */
const uri = z.string().refine((text) => (parseTcpAddress(text)?.port ?? 0) > 0, {
  error: 'must be tcp:HOST:PORT with a port from 1 to 65535 (an IPv6 host in brackets)',
});

/** `tcp:HOST:PORT` to listen on; port 0 takes any. */
const listen = z.string().refine((text) => parseTcpAddress(text) !== undefined, {
  error: 'must be tcp:HOST:PORT (an IPv6 host in brackets; port 0 takes any)',
});

const sourceBlock = z.strictObject({ id: blockId, path: imagePath });
const destinationBlock = z.strictObject({
  id: blockId,
  path: imagePath,
  /** Make the file, with the source's size; only for guests that the daemon starts. It must not exist yet. */
  create: z.boolean().default(false),
});
export type SourceBlock = z.output<typeof sourceBlock>;
export type DestinationBlock = z.output<typeof destinationBlock>;

const sourceBlocks = z.array(sourceBlock).min(1).max(BLOCKS_MAX).superRefine(refuseDoubles);
const destinationBlocks = z.array(destinationBlock).min(1).max(BLOCKS_MAX).superRefine(refuseDoubles);

function refuseDoubles(
  blocks: readonly { readonly id: string; readonly path: string }[],
  context: z.RefinementCtx,
): void {
  for (const key of ['id', 'path'] as const) {
    const seen = new Set<string>();
    blocks.forEach((block, index) => {
      if (seen.has(block[key])) {
        context.addIssue({ code: 'custom', path: [index, key], message: 'is in the list twice' });
      }
      seen.add(block[key]);
    });
  }
}

/** Tells guests apart: where the destination is armed for one, only that guest may come. */
const uuid = z.guid().optional();

const guestNone = z.strictObject({ type: z.literal('none'), uuid });

/** A QEMU's monitor (QMP): a UNIX socket below --qmp-root that no other client is connected to. */
const qmp = z
  .string()
  .regex(/^\/[^\0]*$/, { error: 'must be an absolute path' })
  .max(SOCKET_PATH_MAX_BYTES, { error: `must be at most ${SOCKET_PATH_MAX_BYTES} bytes` });
const command = z.string().regex(/^[a-zA-Z0-9._-]{1,64}$/);

/** A guest at the source: nobody, a running process whose memory the image is, or a QEMU. */
export const sourceGuest = z.discriminatedUnion('type', [
  guestNone,
  z.strictObject({
    type: z.literal('qemu'),
    qmp,
    /** What becomes of the source's QEMU, paused, once its guest runs at the destination. */
    'on-complete': z.enum(['leave', 'quit']).default('leave'),
    uuid,
  }),
  z.strictObject({
    type: z.literal('process'),
    pid: z
      .int()
      .min(2)
      .max(2 ** 22),
    /**
     * False is the operator's word that the process neither discards memory of the image (MADV_DONTNEED, MADV_PAGEOUT) nor
     * has devices write to it: both go unseen, and a final scan is only left out without them.
     */
    'discards-memory': z.boolean().default(true),
    uuid,
  }),
]);
export type SourceGuest = z.output<typeof sourceGuest>;

/**
 * A guest at the destination: nobody, or what a command of the daemon's configuration starts (its name, never a command
 * line). Without a command, the QEMU was started by the operator with `-incoming defer`, and is good for one attempt.
 */
export const destinationGuest = z.discriminatedUnion('type', [
  guestNone,
  z.strictObject({ type: z.literal('process'), command, uuid }),
  z.strictObject({ type: z.literal('qemu'), qmp, command: command.optional(), uuid }),
]);
export type DestinationGuest = z.output<typeof destinationGuest>;

export const migrationCapabilities = z.strictObject({
  xbzrle: z.boolean().default(true),
  'pause-before-switchover': z.boolean().default(false),
  'auto-converge': z.literal(false).default(false),
});

/**
 * How the pages that the guest wrote are found. `final-scan`: everything is scanned after the pause whatever the bits say;
 * without it that is left out if it is proven that no bit was lost.
 */
export const tracker = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('scan') }),
  z.strictObject({ type: z.literal('soft-dirty'), 'final-scan': z.boolean().default(true) }),
]);
export type Tracker = z.output<typeof tracker>;

/** POST /incoming. `xbzrle-cache-size` is the ceiling granted to the source; without it, what PUT /cache-size set holds. */
export const incomingBody = z
  .strictObject({
    listen,
    /** Without them, those of the QEMU on shared files. */
    blocks: destinationBlocks.optional(),
    'xbzrle-cache-size': cacheSizeBytes.optional(),
    guest: destinationGuest.default({ type: 'none' }),
    /** The images hold an older copy of this very guest (a UUID is needed): only differences travel. */
    base: z.boolean().default(false),
    parameters: incomingParameters.prefault({}),
  })
  .superRefine(checkBase)
  .superRefine(checkBlocks);

/** Only a QEMU says itself what its memory is. */
function checkBlocks(
  { guest, blocks }: { guest: { readonly type: string }; blocks?: readonly unknown[] | undefined },
  context: z.RefinementCtx,
): void {
  if (blocks === undefined && guest.type !== 'qemu')
    context.addIssue({ code: 'custom', path: ['blocks'], message: 'is required for this type of guest' });
}

function checkBase(
  {
    base,
    guest,
    blocks = [],
  }: { base: boolean; guest: DestinationGuest; blocks?: readonly DestinationBlock[] | undefined },
  context: z.RefinementCtx,
): void {
  if (!base) return;
  const refuse = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  if (guest.uuid === undefined)
    refuse(['guest', 'uuid'], 'is required with base: an older copy of another guest would be no base');
  blocks.forEach(({ create }, index) => {
    if (create) refuse(['blocks', index, 'create'], 'makes a new file, which is no base');
  });
}

export type IncomingBody = z.output<typeof incomingBody>;

/** `uri` is what POST /migrate takes; the token is good for one migration. */
export const incomingAnswer = z.object({
  'socket-address': z.array(socketAddress),
  uri: z.string(),
  token: z.string(),
  warnings: z.array(warning),
});
export type IncomingAnswer = z.output<typeof incomingAnswer>;

/** POST /migrate. */
export const migrateBody = z
  .strictObject({
    uri,
    token: z.string().min(1).max(TOKEN_MAX_CHARACTERS),
    /** Without them, those of the QEMU on shared files. */
    blocks: sourceBlocks.optional(),
    guest: sourceGuest.default({ type: 'none' }),
    capabilities: migrationCapabilities.prefault({}),
    parameters: givenParameters.prefault({}),
    tracker: tracker.default({ type: 'scan' }),
  })
  .superRefine(checkBlocks);
export type MigrateBody = z.output<typeof migrateBody>;

/** A cache in effect is the sum of the streams' shares: with three of them it is no power of two. */
const effectiveMigrationParameters = z.strictObject({
  ...parameterShape,
  'xbzrle-cache-size': z.int().min(0),
});

/** 202: hello was accepted. `parameters` are the effective ones. */
export const migrateAnswer = z.object({
  'migration-id': z.uuid(),
  parameters: effectiveMigrationParameters,
  capabilities: migrationCapabilities,
  warnings: z.array(warning),
});
export type MigrateAnswer = z.output<typeof migrateAnswer>;

/** PUT /cache-size. */
export const cacheSizeBody = z.strictObject({ 'cache-size': cacheSizeBytes });

/**
 * Bytes. Requested by the operator of this side; granted by the destination (its ceiling); effective: the smaller;
 * allocated: what the streams' caches hold now, which follows at the end of the round.
 */
export const cacheSizeAnswer = z.object({
  requested: z.int(),
  ceiling: z.int(),
  effective: z.int(),
  allocated: z.int(),
  limit: z.int(),
});
export type CacheSizeAnswer = z.output<typeof cacheSizeAnswer>;

const sideParameters = z.union([migrationParameters, incomingParameters]);

/** GET and PATCH /parameters: this side's parameters; `effective` is what the running migration uses. */
export const parametersAnswer = z.object({
  requested: sideParameters,
  effective: z.union([effectiveMigrationParameters, incomingParameters]),
});
export type ParametersAnswer = z.output<typeof parametersAnswer>;

/** POST /cancel and /continue: naming the migration is optional, naming a wrong one an error. */
export const currentMigrationBody = z.strictObject({ 'migration-id': z.uuid().optional() });

/**
 * POST /abort: the operator's word that the source is gone for good. A prepared migration must be named; an armed
 * one has no id before a source came, so it may be left out there.
 */
export const abortBody = z.strictObject({ 'migration-id': z.uuid().optional() });

/**
 * POST /takeover: the operator's word that the peer is gone for good and runs no guest. It names the migration, so that
 * no other one is taken over by mistake.
 */
export const takeoverBody = z.strictObject({ 'migration-id': z.uuid() });

export const acceptedAnswer = z.object({ 'migration-id': z.uuid().optional() });
export type AcceptedAnswer = z.output<typeof acceptedAnswer>;

/** PATCH /parameters. */
export const parametersBody = liveParameters;
