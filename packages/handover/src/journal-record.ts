// What a journal's slot says: the facts of the session, and the last step of the handover. Validated whenever read.
// Invariant: recovery needs nothing but the newest entry. The one-time token is never stored; the session key is,
// because only it lets a restarted daemon reconnect (the file is 0600).
import { z } from 'zod';
import { HandoverError } from './errors.ts';
import { REASON_MAX_LENGTH } from './messages.ts';

const epoch = z.int().min(1).max(0xffff_ffff);
const reason = z.string().max(REASON_MAX_LENGTH);
const runState = z.enum(['running', 'paused']);
const hex16Bytes = z.string().regex(/^[0-9a-f]{32}$/);

/** A process that a restarted daemon can name without mistaking a recycled pid for it. */
const processIdentity = z.strictObject({
  pid: z.int().min(1),
  /** Field 22 of /proc/PID/stat, clock ticks since boot. */
  startTime: z.int().min(0),
});

/** The guest package's own identity, opaque here; it validates what it gets back. Any JSON object, 1 KiB at most. */
const guestIdentity = z.record(z.string(), z.json());

const cause = z.strictObject({
  code: z.enum([
    'failed',
    'cancelled',
    'link-lost',
    'daemon-restarted',
    'aborted-by-destination',
    'refused',
    'taken-over',
  ]),
  reason,
});

const sourceEpochs = { epoch, abortedEpoch: epoch.nullable() };

/** The source's last step. `abortedEpoch`: the newest earlier epoch of this session that is known to be rolled back. */
export const sourceRecord = z.discriminatedUnion('phase', [
  z.strictObject({ phase: z.literal('precopy'), ...sourceEpochs }),
  z.strictObject({ phase: z.literal('pausing'), ...sourceEpochs, priorRunState: runState }),
  z.strictObject({ phase: z.literal('committed'), ...sourceEpochs, priorRunState: runState }),
  z.strictObject({ phase: z.literal('reclaimed'), ...sourceEpochs, priorRunState: runState, cause }),
  z.strictObject({ phase: z.literal('completed'), ...sourceEpochs }),
  z.strictObject({ phase: z.literal('rolled-back'), epoch, cause, isPeerInformed: z.boolean() }),
]);

/** The destination's last step. */
export const destinationRecord = z.discriminatedUnion('phase', [
  z.strictObject({ phase: z.literal('receiving'), epoch }),
  z.strictObject({ phase: z.literal('preparing'), epoch, runState }),
  z.strictObject({ phase: z.literal('prepared'), epoch, runState, guest: guestIdentity }),
  z.strictObject({ phase: z.literal('starting'), epoch, guest: guestIdentity }),
  z.strictObject({ phase: z.literal('running'), epoch, runState, guest: guestIdentity }),
  z.strictObject({
    phase: z.literal('destroying'),
    epoch,
    guest: guestIdentity.nullable(),
    answer: z.enum(['aborted', 'refused']),
    reason,
  }),
  z.strictObject({ phase: z.literal('aborted'), epoch, reason }),
  z.strictObject({ phase: z.literal('refused'), epoch, reason }),
]);

/** What both sides know of a session before the handover begins, and need again after a restart. */
const session = z.strictObject({
  /** Public id, 16 bytes, lower-case hex. */
  sessionId: hex16Bytes,
  /** The session's secret, 16 bytes, lower-case hex: proves a reconnect. */
  sessionKey: hex16Bytes,
  /** The peer's address at the source (`tcp:HOST:PORT`), the listening one at the destination. */
  address: z.string().max(512),
  blocks: z.array(z.strictObject({ id: z.string().max(256), path: z.string().max(4096) })).max(64),
  /** At the source the running guest's identity; at the destination the incoming guest's specification. */
  guest: guestIdentity,
  engine: processIdentity.nullable(),
  /** At the destination: the source said that it comes back with a newer epoch. */
  isResumable: z.boolean().optional(),
});

/** One slot of source.journal. */
export const sourceEntry = z.strictObject({ version: z.literal(1), session, handover: sourceRecord });

/** One slot of destination.journal. */
export const destinationEntry = z.strictObject({
  version: z.literal(1),
  session,
  handover: destinationRecord,
});

export type GuestIdentity = Readonly<z.infer<typeof guestIdentity>>;
export type ProcessIdentity = Readonly<z.infer<typeof processIdentity>>;
export type Session = Readonly<z.infer<typeof session>>;
export type SourceRecord = Readonly<z.infer<typeof sourceRecord>>;
export type DestinationRecord = Readonly<z.infer<typeof destinationRecord>>;
export type SourceEntry = Readonly<z.infer<typeof sourceEntry>>;

/** Longest guest identity as JSON; with it every step of the destination fits into a slot. */
export const IDENTITY_MAX_BYTES = 1024;

/** @throws {HandoverError} `record-too-large`, when the guest is prepared and nothing was promised yet. */
export function assertIdentityFits(guest: GuestIdentity): void {
  const lengthBytes = Buffer.byteLength(JSON.stringify(guest));
  if (lengthBytes <= IDENTITY_MAX_BYTES) return;
  const what = "the guest's identity";
  throw new HandoverError({ code: 'record-too-large', what, lengthBytes, limitBytes: IDENTITY_MAX_BYTES });
}
