/**
 * GET /status: QMP's MigrationInfo word for word, and everything of ours under `pageferry`.
 * Invariant: the top-level `status` is a word of QMP's, that of the phase in `pageferry.phase` (phase.ts).
 * Unlike QMP, `ram` and `xbzrle-cache` stay after a failed or cancelled migration. The counters' meanings on our
 * wire are a table in docs/PROTOCOL.md. Units: bytes, milliseconds, pages; `mbps` is 10^6 bits a second.
 */
import { z } from 'zod';
import { phase, statusWord } from './phase.ts';
import { problemDetails } from './problem.ts';

const count = z.int().min(0);
const milliseconds = z.number().min(0);
const rate = z.number().min(0);
const rootHex = z.string().regex(/^[0-9a-f]{32}$/);

/** QMP's MigrationStats. `normal-bytes` is normal × page-size, not wire bytes. */
export const ramStatus = z.object({
  transferred: count,
  remaining: count,
  total: count,
  duplicate: count,
  normal: count,
  'normal-bytes': count,
  'dirty-pages-rate': rate,
  mbps: rate,
  'dirty-sync-count': count,
  'page-size': count,
  'pages-per-second': rate,
  'precopy-bytes': count,
  'downtime-bytes': count,
});
export type RamStatus = z.output<typeof ramStatus>;

/** QMP's XBZRLECacheStats. */
export const xbzrleCacheStatus = z.object({
  'cache-size': count,
  bytes: count,
  pages: count,
  'cache-miss': count,
  'cache-miss-rate': rate,
  'encoding-rate': rate,
  overflow: count,
});
export type XbzrleCacheStatus = z.output<typeof xbzrleCacheStatus>;

/** QMP's InetSocketAddress; the port is a string there. */
export const socketAddress = z.object({ type: z.literal('inet'), host: z.string(), port: z.string() });
export type SocketAddress = z.output<typeof socketAddress>;

/** How the pages that the guest wrote are found; `lease`: nobody can have written. */
export const trackerName = z.enum(['scan', 'soft-dirty', 'lease']);
export type TrackerName = z.output<typeof trackerName>;

/** One finished round. Round 0 is the bulk stage, the last one is after the pause (`final`). */
export const roundStatus = z.object({
  round: count,
  final: z.boolean(),
  /** Pages that the tracker named. Bits that accumulate name a page again in each round. */
  candidates: count,
  /** What named them at the source: `scan` where everything was. */
  tracker: trackerName.optional(),
  duplicate: count,
  normal: count,
  'xbzrle-pages': count,
  'xbzrle-bytes': count,
  'cache-miss': count,
  overflow: count,
  /** On the wire, all streams. */
  bytes: count,
  ms: milliseconds,
  'dirty-pages-rate': rate,
  /** Of this side's engine at the round's end, bytes. */
  'rss-anon': count.optional(),
});
export type RoundStatus = z.output<typeof roundStatus>;

/** One block's roots after a round: hexadecimal, 128 bits. Absent: not known yet. */
export const rootStatus = z.object({
  block: z.string(),
  round: count,
  source: rootHex.optional(),
  destination: rootHex.optional(),
});
export type RootStatus = z.output<typeof rootStatus>;

/** What was proven, by name; docs/PROTOCOL.md, _Digests and roots_. */
export const proof = z.enum([
  'sent-equals-applied',
  'source-rescanned',
  'source-unwritten',
  'destination-reread',
]);
export type Proof = z.output<typeof proof>;

/** Pages of a block whose digest at the destination was not that of what was sent; they were sent again. */
export const repair = z.object({
  /** The round that found them and sent them again. */
  round: count,
  block: z.string(),
  pages: count,
  'first-page': count,
});
export type Repair = z.output<typeof repair>;

/** An attempt that ended before the commit and was followed by another one. */
export const interruption = z.object({ epoch: count, phase, reason: z.string() });
export type Interruption = z.output<typeof interruption>;

/** What verification cost so far. Source: waiting for roots, digest exchange. Destination: digesting files, audit. */
export const verificationCost = z.object({
  'confirm-ms': milliseconds.optional(),
  'exchange-ms': milliseconds.optional(),
  'digest-ms': milliseconds.optional(),
  'audit-ms': milliseconds.optional(),
  /** Extents of 2 MiB that read back differently than they were written. */
  'audit-differing': count.optional(),
});
export type VerificationCost = z.output<typeof verificationCost>;

/** What became of the tracker that was asked for; the rows after `failed-conditions` are there with `soft-dirty`. */
export const trackerStatus = z.object({
  requested: trackerName,
  /** In use. */
  type: trackerName,
  /** Why it is another one. */
  reason: z.string().optional(),
  /** Everything was, or will be as far as is known now, scanned after the pause. */
  'final-scan': z.boolean(),
  /**
   * Why it is, although `final-scan` is off or there is no guest: what was not as it must be, at the clear or when the
   * leases were taken, or since.
   */
  'failed-conditions': z.array(z.string()).optional(),
  /** How long the guest was stopped for clearing the bits, over all attempts, and how often. */
  'clear-ms': milliseconds.optional(),
  clears: count.optional(),
  /** What the last look at the conditions took; the one after the pause is part of it. */
  'conditions-ms': milliseconds.optional(),
  /** Whose bits are read. */
  processes: count.optional(),
  /** Rounds that scanned everything because bits turned out not to count. */
  'full-scans': z.array(z.object({ round: count, reason: z.string() })).optional(),
});
export type TrackerStatus = z.output<typeof trackerStatus>;

/** What a migration says that is no error; docs/operations.md has what to do. */
export const warningName = z.enum([
  'mappings-not-visible',
  'other-writers',
  'guest-without-image',
  'scan-exceeds-downtime-limit',
  'soft-dirty-unavailable',
  'guest',
  'guest-not-ended',
]);

export const warning = z.object({ name: warningName, detail: z.string() });
export type Warning = z.output<typeof warning>;

/** The predicted pause and its parts, all in milliseconds. */
export const predictedDowntime = z.object({
  total: milliseconds,
  wire: milliseconds,
  scan: milliseconds,
  'device-state': milliseconds,
  journal: milliseconds,
  'round-trips': milliseconds,
});
export type PredictedDowntime = z.output<typeof predictedDowntime>;

/** The guest as this side sees it. `paused-before`: somebody else had paused it, and it stays so. */
export const guestStatus = z.object({
  type: z.enum(['none', 'process', 'qemu']),
  state: z.enum(['absent', 'running', 'pausing', 'paused', 'paused-before', 'stopped', 'ended', 'unknown']),
  pid: z.int().optional(),
});
export type GuestStatus = z.output<typeof guestStatus>;

/** What the guest is besides its RAM blocks. Source: saved in the pause. Destination: received, and loaded in the pause. */
export const deviceStateStatus = z.object({
  bytes: count,
  'save-ms': milliseconds.optional(),
  'load-ms': milliseconds.optional(),
});
export type DeviceStateStatus = z.output<typeof deviceStateStatus>;

export const pageferryStatus = z.object({
  side: z.enum(['source', 'destination']),
  'migration-id': z.uuid().optional(),
  phase,
  round: count,
  /** Share of memory that the destination has had at least once, 0 to 1; never goes back while the daemon runs. */
  coverage: z.number().min(0).max(1),
  /** Why the last convergence decision was taken, in words. */
  because: z.string().optional(),
  'predicted-downtime': predictedDowntime.optional(),
  phases: z.array(z.object({ name: z.string(), ms: milliseconds })),
  rounds: z.array(roundStatus),
  roots: z.array(rootStatus),
  verified: z.array(proof),
  repairs: z.array(repair).optional(),
  /** The session's epoch: each attempt has its own. */
  epoch: count.optional(),
  interruptions: z.array(interruption).optional(),
  verification: verificationCost.optional(),
  /** Source only. */
  tracker: trackerStatus.optional(),
  guest: guestStatus.optional(),
  'device-state': deviceStateStatus.optional(),
  /** The destination's images: nobody could write to them yet, somebody could, all of memory is in them. */
  image: z.enum(['untouched', 'partial', 'complete']).optional(),
  engine: z.object({ pid: z.int(), 'rss-anon': count.optional() }).optional(),
  warnings: z.array(warning),
  problem: problemDetails.optional(),
});
export type PageferryStatus = z.output<typeof pageferryStatus>;

/** The whole answer. `downtime` only when it is known (completed), `expected-downtime` before. */
export const migrationStatus = z.object({
  status: statusWord,
  'total-time': milliseconds.optional(),
  downtime: milliseconds.optional(),
  'expected-downtime': milliseconds.optional(),
  'setup-time': milliseconds.optional(),
  ram: ramStatus.optional(),
  'xbzrle-cache': xbzrleCacheStatus.optional(),
  'error-desc': z.string().optional(),
  /** Why the guest could not be migrated, once an attempt has ended by that. */
  'blocked-reasons': z.array(z.string()).optional(),
  'socket-address': z.array(socketAddress).optional(),
  pageferry: pageferryStatus,
});
export type MigrationStatus = z.output<typeof migrationStatus>;

/** Nothing was asked for yet; also what a status has where nothing is known. */
export function idleStatus(side: PageferryStatus['side']): MigrationStatus {
  return {
    status: 'none',
    pageferry: {
      side,
      phase: 'idle',
      round: 0,
      coverage: 0,
      phases: [],
      rounds: [],
      roots: [],
      verified: [],
      warnings: [],
    },
  };
}
