/** GET /status after a restart, until the next migration: what the journal still knows of the last one. */
import { sourceNeedsPeer, type Entry, type SourceRecord, type SourceState } from '@pageferry/handover';
import { idleStatus, phaseStatus, type MigrationStatus, type Phase, uuidOf } from '@pageferry/protocol';
import { causeFailure, twoOwners } from './migration-errors.ts';
import type { Ownership } from './ownership.ts';

export function recoveredStatus(
  entry: Entry<SourceRecord>,
  ownership: Ownership | undefined,
): MigrationStatus {
  const state: SourceRecord | SourceState = ownership?.state ?? entry.handover;
  const phase = phaseOf(state, ownership);
  const conflict = ownership?.conflict;
  const cause = 'cause' in state ? causeFailure(state.cause).problem : undefined;
  const problem = conflict === undefined ? cause : twoOwners(conflict);
  return {
    status: phaseStatus[phase],
    ...(problem === undefined ? {} : { 'error-desc': problem.detail }),
    pageferry: {
      ...idleStatus('source').pageferry,
      'migration-id': uuidOf(entry.session.sessionId),
      phase,
      coverage: allMoved.has(phase) ? 1 : 0,
      ...(problem === undefined ? {} : { problem }),
    },
  };
}

/** In these the destination has said that it has all of the memory; of the others the journal does not know. */
const allMoved: ReadonlySet<Phase> = new Set(['committed', 'reconnecting', 'completed']);

function phaseOf(state: SourceRecord | SourceState, ownership: Ownership | undefined): Phase {
  switch (state.phase) {
    case 'completed':
      return 'completed';
    case 'committed':
    case 'committing':
    case 'revoking':
      return ownership !== undefined && sourceNeedsPeer(ownership.state) && ownership.isReconnecting
        ? 'reconnecting'
        : 'committed';
    case 'rolled-back':
      return state.cause.code === 'cancelled' ? 'cancelled' : 'failed';
    default:
      return 'aborting';
  }
}
