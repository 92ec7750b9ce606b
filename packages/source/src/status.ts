/** GET /status of the source: a migration's facts in QMP's words. Pure: facts and the time in, answer out. */
import { phaseStatus, type GuestStatus, type MigrationStatus, type Phase } from '@pageferry/protocol';
import { twoOwners } from './migration-errors.ts';
import type { Migration } from './migration.ts';
import type { Prediction } from './convergence.ts';

export function sourceStatus(migration: Migration, nowMs: number): MigrationStatus {
  const { statistics, settings, record, rounds } = migration;
  const conflict = migration.ownership?.conflict;
  const problem = conflict === undefined ? record.problem : twoOwners(conflict);
  const { decision } = rounds;
  const phase = phaseOf(migration);
  const endMs = record.endedMs ?? nowMs;
  const totalMs = endMs - record.startedMs;
  const isCompleted = record.outcome === 'completed';
  const { downtimeMs } = record;
  const hasXbzrle = migration.body.capabilities.xbzrle;
  const engine = migration.enginePid;
  const blocked = problem?.['blocked-reasons'];
  return {
    status: phaseStatus[phase],
    'total-time': totalMs,
    ...(isCompleted && downtimeMs !== undefined ? { downtime: downtimeMs } : {}),
    ...(isCompleted
      ? {}
      : { 'expected-downtime': decision?.predicted.totalMs ?? settings.parameters['downtime-limit'] }),
    ...(record.setupMs === undefined ? {} : { 'setup-time': record.setupMs }),
    ram: statistics.ram(totalMs - (record.setupMs ?? totalMs), isCompleted),
    ...(hasXbzrle ? { 'xbzrle-cache': statistics.xbzrleCache(settings.effectiveCacheBytes) } : {}),
    ...(problem === undefined ? {} : { 'error-desc': problem.detail }),
    ...(blocked === undefined ? {} : { 'blocked-reasons': blocked }),
    pageferry: {
      side: 'source',
      'migration-id': migration.id,
      phase,
      round: rounds.current,
      coverage: statistics.coverage,
      ...(decision === undefined
        ? {}
        : { because: decision.because, 'predicted-downtime': predicted(decision.predicted) }),
      phases: [...record.phases],
      rounds: statistics.rounds.map((facts) => statistics.roundStatus(facts)),
      roots: [...rounds.roots],
      verified: [...record.verified],
      epoch: migration.attempts.epoch,
      interruptions: [...migration.attempts.interruptions],
      repairs: [...rounds.repairs],
      verification: {
        'confirm-ms': rounds.confirmMs,
        'exchange-ms': statistics.rounds.reduce((sum, { after }) => sum + after.roundReconcileMs, 0),
      },
      tracker: migration.tracking.status,
      guest: guestStatus(migration),
      ...(record.deviceState === undefined ? {} : { 'device-state': record.deviceState }),
      ...(engine === undefined ? {} : { engine: { pid: engine, 'rss-anon': statistics.rssAnonBytes } }),
      warnings: [...record.warnings],
      ...(problem === undefined ? {} : { problem }),
    },
  };
}

/** Committed with the link down is `reconnecting`: the operator should look at the other side. */
function phaseOf({ record: { phase }, ownership }: Migration): Phase {
  return phase === 'committed' && ownership?.isReconnecting === true ? 'reconnecting' : phase;
}

function predicted(prediction: Prediction): MigrationStatus['pageferry']['predicted-downtime'] {
  return {
    total: prediction.totalMs,
    wire: prediction.wireMs,
    scan: prediction.scanMs,
    'device-state': prediction.deviceStateMs,
    journal: prediction.journalMs,
    'round-trips': prediction.roundTripsMs,
  };
}

function guestStatus(migration: Migration): GuestStatus {
  const { type, pid } = migration.guestIdentity;
  const common = {
    type,
    ...(pid === undefined ? {} : { pid }),
  } as const;
  const state = migration.ownership?.state;
  switch (state?.phase) {
    case 'pausing':
      return { ...common, state: 'pausing' };
    case 'paused':
    case 'going-on':
    case 'offered':
    case 'committing':
    case 'revoking':
    case 'committed':
    case 'resuming':
      return { ...common, state: state.priorRunState === 'paused' ? 'paused-before' : 'paused' };
    case 'completed':
      return { ...common, state: 'stopped' };
    default:
      return { ...common, state: 'running' };
  }
}
