/**
 * The control messages of both directions: one strict schema each, told apart by `type`.
 *
 * hello alone ignores fields that it does not know: a newer source offers its versions in it before it can know that
 * an older destination listens. Whatever changes a meaning comes with a version, never with a field of hello.
 * Integers are safe integers (below 2^53); binary fields are copies, so no message holds on to a socket's buffer.
 * The order of the messages is not checked here: the state tables of docs/PROTOCOL.md are.
 */
import { z } from 'zod';
import {
  BLOCKS_MAX,
  BLOCK_ID_MAX_BYTES,
  BLOCK_PAGES_MAX,
  DEVICE_STATE_MAX_BYTES,
  DIGEST_SECRET_SIZE_BYTES,
  DIGEST_SIZE_BYTES,
  GUEST_FACTS_MAX,
  LONG_TEXT_MAX_CHARACTERS,
  PAGE_SIZE_BYTES,
  PROOF_SIZE_BYTES,
  SESSION_ID_SIZE_BYTES,
  SESSION_KEY_SIZE_BYTES,
  SHORT_TEXT_MAX_CHARACTERS,
  STREAMS_MAX,
  TOKEN_MAX_CHARACTERS,
  U32_LIMIT,
  VERSIONS_MAX,
  VERSION_NUMBER_MAX,
} from './limits.ts';

const binary = (sizeBytes: number) =>
  z
    .custom<Uint8Array>(
      (value) => value instanceof Uint8Array && value.length === sizeBytes,
      `expected ${sizeBytes} bytes`,
    )
    .transform((value): Uint8Array => Uint8Array.from(value));

const u32 = z
  .int()
  .min(0)
  .max(U32_LIMIT - 1);
const epoch = u32.min(1);
const byteCount = z.int().min(0);
const shortText = z.string().max(SHORT_TEXT_MAX_CHARACTERS);
const longText = z.string().max(LONG_TEXT_MAX_CHARACTERS);
const root = binary(DIGEST_SIZE_BYTES);
/** One root per RAM block, in the order of hello's blocks. */
const roots = z.array(root).min(1).max(BLOCKS_MAX);
const versions = z.array(z.int().min(1).max(VERSION_NUMBER_MAX)).min(1).max(VERSIONS_MAX);

const blockId = z
  .string()
  .min(1)
  .refine((id) => Buffer.byteLength(id) <= BLOCK_ID_MAX_BYTES, `at most ${BLOCK_ID_MAX_BYTES} bytes`);

const block = z.object({
  id: blockId,
  sizeBytes: z
    .int()
    .min(PAGE_SIZE_BYTES)
    .max(BLOCK_PAGES_MAX * PAGE_SIZE_BYTES)
    .multipleOf(PAGE_SIZE_BYTES),
});

/** Where an image really is; decimal strings, since inode numbers may exceed 2^53. */
const imageIdentity = z.object({
  /** boot_id of the host's kernel. */
  hostBootId: shortText,
  device: shortText,
  inode: shortText,
});

/** A cause that crosses the wire: the members of a problem (RFC 9457) that are not about HTTP. */
export const wireProblem = z.strictObject({
  /** urn:pageferry:problem:NAME */
  type: shortText.min(1),
  title: shortText.min(1),
  detail: longText,
  /** Phase of the migration in which it happened, where there was one. */
  phase: shortText.optional(),
  /** Side on which it happened. */
  peer: z.enum(['source', 'destination']),
  /** Whether the same request can succeed without a change. */
  retryable: z.boolean(),
  hint: longText.optional(),
});

const helloBase = {
  type: z.literal('hello'),
  /** Versions that the source speaks. */
  versions,
  /** As in the preamble. */
  sessionId: binary(SESSION_ID_SIZE_BYTES),
  epoch,
  /** An earlier epoch of this session that the source's journal records as aborted. */
  abortedEpoch: epoch.optional(),
};

/** What every attempt is made from. */
const attempt = {
  guestType: z.enum(['none', 'process', 'qemu']),
  guestUuid: z.guid().optional(),
  /** What must be the same about the guest at the destination; absent where nothing is compared. */
  guestFacts: z.object({ lines: z.array(shortText).max(GUEST_FACTS_MAX), sha256: binary(32) }).optional(),
  /** Not a literal: a destination that knows another size answers with a reason. */
  pageSize: z
    .int()
    .min(1)
    .max(U32_LIMIT - 1),
  blocks: z.array(block).min(1).max(BLOCKS_MAX),
  streamCount: z.int().min(1).max(STREAMS_MAX),
  /** Secret of this epoch's digests. */
  secret: binary(DIGEST_SECRET_SIZE_BYTES),
  /** What the source asks for; the smaller of this and the ceiling in welcome holds. 0: no deltas. */
  xbzrleCacheSizeBytes: byteCount,
  /** The destination digests its files again before `ready`. */
  destinationReread: z.boolean(),
  /** One per block, so that the destination can refuse to write into the very image that is read. */
  imageIdentities: z.array(imageIdentity).max(BLOCKS_MAX).optional(),
};

/** Begins a migration at an armed destination. */
export const helloStart = z.object({
  ...helloBase,
  ...attempt,
  purpose: z.literal('start'),
  /** The one-time token of POST /incoming. */
  token: z.string().min(1).max(TOKEN_MAX_CHARACTERS),
  /** The source will come back with a newer epoch if this attempt fails before the commit. */
  isResumable: z.boolean(),
});

/** Goes on with a migration in a newer epoch, after whatever ended the one before. */
export const helloResume = z.object({
  ...helloBase,
  ...attempt,
  purpose: z.literal('resume'),
  /** helloProof('resume') of proof.ts. */
  proof: binary(PROOF_SIZE_BYTES),
});

/** Asks about, or finishes, the handover of an epoch after a connection was lost. */
export const helloResolve = z.object({
  ...helloBase,
  purpose: z.literal('resolve'),
  /** helloProof('resolve') of proof.ts. */
  proof: binary(PROOF_SIZE_BYTES),
});

const roundEnd = z.strictObject({ type: z.literal('round-end'), round: u32, roots });

const handover = z.strictObject({
  type: z.literal('handover'),
  round: u32,
  roots,
  /** Every page was scanned after the confirmed pause, and what differed was sent. */
  sourceRescanned: z.boolean(),
  /** What the guest was before the source paused it; a guest that was paused is not started. */
  runState: z.enum(['running', 'paused']),
  /** What the device-state frames before this message added up to; absent where the guest has none. */
  deviceState: z
    .strictObject({ sizeBytes: z.int().min(1).max(DEVICE_STATE_MAX_BYTES), sha256: binary(32) })
    .optional(),
});

const commit = z.strictObject({ type: z.literal('commit') });
/** What became of the attempt: another one follows, or the operator or a failure ended the migration. */
export const abortOutcome = z.enum(['interrupted', 'cancelled', 'failed']);
const abort = z.strictObject({ type: z.literal('abort'), outcome: abortOutcome, reason: longText });
const query = z.strictObject({ type: z.literal('query') });
const ping = z.strictObject({ type: z.literal('ping'), sequence: u32 });
const pong = z.strictObject({ type: z.literal('pong'), sequence: u32 });
const error = z.strictObject({ type: z.literal('error'), problem: wireProblem });

/** What the source sends and the destination takes. */
export const sourceMessage = z.discriminatedUnion('type', [
  z.discriminatedUnion('purpose', [helloStart, helloResume, helloResolve]),
  roundEnd,
  handover,
  commit,
  abort,
  query,
  ping,
  pong,
  error,
]);

/** Where the destination is in a handover, in the words of its transition function. An unknown session is rejected. */
export const handoverPhase = z.enum([
  'receiving',
  'preparing',
  'prepared',
  'starting',
  'running',
  'destroying',
  'refused',
  'aborted',
]);

const welcomeStart = z.strictObject({
  type: z.literal('welcome'),
  purpose: z.literal('start'),
  version: z.int().min(1).max(VERSION_NUMBER_MAX),
  /** Proves every later connection of the session. */
  sessionKey: binary(SESSION_KEY_SIZE_BYTES),
  /** The destination holds an older copy: the digest exchange comes before the bulk stage. */
  hasBase: z.boolean(),
  xbzrleCacheCeilingBytes: byteCount,
});

const welcomeResume = z.strictObject({
  type: z.literal('welcome'),
  purpose: z.literal('resume'),
  version: z.int().min(1).max(VERSION_NUMBER_MAX),
  xbzrleCacheCeilingBytes: byteCount,
});

const welcomeResolve = z.strictObject({
  type: z.literal('welcome'),
  purpose: z.literal('resolve'),
  version: z.int().min(1).max(VERSION_NUMBER_MAX),
  phase: handoverPhase,
  /** Why, where the phase is refused or aborted. */
  reason: longText.optional(),
});

const reject = z.strictObject({
  type: z.literal('reject'),
  problem: wireProblem,
  /** Versions that the destination speaks. */
  versions,
});

const roundResult = z.strictObject({
  type: z.literal('round-result'),
  round: u32,
  roots,
  matches: z.boolean(),
  /** How long pages of the round were still on their way, or not applied, when its end had come, milliseconds. */
  waitedMs: z.number().min(0),
});
const cacheCeiling = z.strictObject({ type: z.literal('cache-ceiling'), bytes: byteCount });
const ready = z.strictObject({ type: z.literal('ready') });
const running = z.strictObject({
  type: z.literal('running'),
  /** What is odd about it, in words: it has crashed since, or was not announced. */
  note: longText.optional(),
});
const refused = z.strictObject({ type: z.literal('refused'), reason: longText });
const aborted = z.strictObject({ type: z.literal('aborted'), reason: longText });

/** What the destination sends and the source takes. */
export const destinationMessage = z.discriminatedUnion('type', [
  z.discriminatedUnion('purpose', [welcomeStart, welcomeResume, welcomeResolve]),
  reject,
  roundResult,
  cacheCeiling,
  ready,
  running,
  refused,
  aborted,
  ping,
  pong,
  error,
]);

export type AbortOutcome = z.infer<typeof abortOutcome>;
export type WireProblem = z.infer<typeof wireProblem>;
export type HelloStart = z.infer<typeof helloStart>;
export type HelloResolve = z.infer<typeof helloResolve>;
export type HelloResume = z.infer<typeof helloResume>;
export type Hello = HelloStart | HelloResume | HelloResolve;
export type WelcomeStart = z.infer<typeof welcomeStart>;
export type WelcomeResume = z.infer<typeof welcomeResume>;
export type WelcomeResolve = z.infer<typeof welcomeResolve>;
export type SourceMessage = z.infer<typeof sourceMessage>;
export type DestinationMessage = z.infer<typeof destinationMessage>;
export type ControlMessage = SourceMessage | DestinationMessage;
