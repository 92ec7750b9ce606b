/** GET /status of the destination: an incoming migration's facts in QMP's words. Pure: facts and the time in, answer out. */
import {
  PAGE_SIZE_BYTES,
  phaseStatus,
  type GuestStatus,
  type MigrationStatus,
  type Phase,
  type RamStatus,
  type SocketAddress,
  type VerificationCost,
  type Warning,
} from '@pageferry/protocol';
import type { Counters } from './engine/counters.ts';
import type { Incoming } from './incoming.ts';

export function destinationStatus(incoming: Incoming, nowMs: number): MigrationStatus {
  const { problem, id, armed, state } = incoming;
  const receiving = incoming.session?.receiving;
  const phase = phaseOf(incoming);
  // From the source's coming; while nobody has come, from the arming.
  const startedMs = incoming.session?.startedMs ?? incoming.startedMs;
  const totalMs = (incoming.endedMs ?? nowMs) - startedMs;
  const engine = receiving?.engine.pid;
  const note = incoming.session?.note;
  const image = imageState(incoming);
  const deviceState = incoming.session?.deviceStateStatus;
  const warnings: Warning[] = [
    ...(armed?.warnings ?? []),
    ...(note === null || note === undefined ? [] : [{ name: 'guest' as const, detail: note }]),
  ];
  return {
    status: phaseStatus[phase],
    'total-time': totalMs,
    ...(receiving === undefined ? {} : { ram: ram(incoming, totalMs) }),
    ...(problem === undefined ? {} : { 'error-desc': problem.detail }),
    'socket-address': socketAddresses(incoming),
    pageferry: {
      side: 'destination',
      ...(id === undefined ? {} : { 'migration-id': id }),
      phase,
      round: receiving?.round ?? 0,
      coverage: image === 'complete' ? 1 : (incoming.session?.coverage ?? 0),
      phases: [],
      rounds: [...(receiving?.history.rounds ?? [])],
      roots: receiving?.roots ?? [],
      verified: receiving?.verified ?? [],
      ...(state === undefined ? {} : { epoch: state.epoch }),
      ...(receiving?.counters === undefined ? {} : { verification: verification(receiving.counters) }),
      guest: guestStatus(incoming),
      ...(deviceState === undefined ? {} : { 'device-state': deviceState }),
      image,
      ...(engine === undefined ? {} : { engine: { pid: engine, 'rss-anon': receiving?.rssAnonBytes ?? 0 } }),
      warnings,
      ...(problem === undefined ? {} : { problem }),
    },
  };
}

/** Where the source may connect, in QMP's form. */
export function socketAddresses({ address }: Incoming): SocketAddress[] {
  return address === undefined ? [] : [{ type: 'inet', host: address.host, port: String(address.port) }];
}

function phaseOf(incoming: Incoming): Phase {
  const { state, isCancelled, endedMs } = incoming;
  switch (state?.phase) {
    case undefined:
      if (endedMs === undefined) return 'armed';
      return isCancelled ? 'cancelled' : 'failed';
    case 'receiving':
    case 'preparing':
    case 'starting':
      return state.phase;
    case 'prepared':
      return incoming.session?.isConnected === true ? 'prepared' : 'awaiting-source';
    case 'running':
      return 'completed';
    case 'destroying':
      return 'aborting';
    case 'aborted':
      if (incoming.isInterrupted) return 'interrupted';
      return isCancelled ? 'cancelled' : 'failed';
    case 'refused':
      return 'failed';
  }
}

function ram({ session }: Incoming, totalMs: number): RamStatus {
  const receiving = session?.receiving;
  const counters = receiving?.counters;
  const seconds = totalMs / 1000;
  const transferred = counters?.transferredBytes ?? 0;
  const normal = counters?.normal ?? 0;
  const pages = normal + (counters?.zero ?? 0) + (counters?.xbzrlePages ?? 0);
  const total = receiving?.totalBytes ?? 0;
  return {
    transferred,
    remaining: Math.max(0, total - pages * PAGE_SIZE_BYTES),
    total,
    duplicate: counters?.zero ?? 0,
    normal,
    'normal-bytes': normal * PAGE_SIZE_BYTES,
    'dirty-pages-rate': 0,
    mbps: seconds > 0 ? (transferred * 8) / seconds / 1e6 : 0,
    'dirty-sync-count': receiving?.history.rounds.length ?? 0,
    'page-size': PAGE_SIZE_BYTES,
    'pages-per-second': seconds > 0 ? pages / seconds : 0,
    'precopy-bytes': transferred,
    'downtime-bytes': 0,
  };
}

function verification(counters: Counters): VerificationCost {
  const { digestMs, auditMs, auditDiffering } = counters;
  return { 'digest-ms': digestMs, 'audit-ms': auditMs, 'audit-differing': auditDiffering };
}

function imageState(incoming: Incoming): 'untouched' | 'partial' | 'complete' {
  const phase = incoming.state?.phase;
  if (phase === 'preparing' || phase === 'prepared' || phase === 'starting' || phase === 'running')
    return 'complete';
  return incoming.session?.hasWritten === true ? 'partial' : 'untouched';
}

function guestStatus(incoming: Incoming): GuestStatus {
  const { state } = incoming;
  const identity = state !== undefined && 'guest' in state ? state.guest : null;
  const type = guestTypeOf(identity?.['type'] ?? incoming.armed?.body.guest.type);
  const pid = identity?.['pid'];
  const common = { type, ...(typeof pid === 'number' ? { pid } : {}) } as const;
  // Memory alone has moved: nobody is started.
  if (type === 'none') return { ...common, state: 'absent' };
  switch (state?.phase) {
    case 'prepared':
    case 'starting':
      return { ...common, state: 'paused' };
    case 'running':
      return { ...common, state: state.runState === 'running' ? 'running' : 'paused-before' };
    default:
      return { ...common, state: 'absent' };
  }
}

/** Of a journal's identity, which is anything. */
function guestTypeOf(type: unknown): GuestStatus['type'] {
  return type === 'process' || type === 'qemu' ? type : 'none';
}
