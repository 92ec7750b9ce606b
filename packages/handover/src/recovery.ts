// What a daemon (or the guard) does first when all it has is the journal's newest record. Pure and idempotent:
// recovering twice, or dying in the middle and recovering again, comes to the same end.
// Each result is fed to the same transitions as always, so there is no second set of rules for restarts.
import type { DestinationRecord, SourceRecord } from './journal-record.ts';
import type { Cause } from './messages.ts';
import type { DestinationStep, SourceStep } from './effects.ts';
import type { SourceState } from './source-states.ts';
import type { DestinationState } from './dest-states.ts';

const RESTARTED: Cause = {
  code: 'daemon-restarted',
  reason: 'the source daemon was restarted during the switchover',
};

/**
 * Source: killed before `committed` the guest is ours and resumed if we may have paused it; after it, nothing is
 * resumed and the daemon reconnects and asks. In `precopy` whether to go on is the daemon's policy (else `failed`).
 */
export function recoverSource(record: SourceRecord): SourceStep {
  const endEngine = { type: 'end-engine' } as const;
  switch (record.phase) {
    case 'pausing':
      return reclaim(record, RESTARTED, false);
    case 'reclaimed':
      // What the operator decided, the destination has not heard.
      return reclaim(record, record.cause, record.cause.code !== 'taken-over');
    case 'precopy':
    case 'committed':
    case 'completed':
    case 'rolled-back':
      return { state: record, effects: [endEngine] };
  }
}

function reclaim(
  record: Extract<SourceRecord, { phase: 'pausing' | 'reclaimed' }>,
  cause: Cause,
  isPeerInformed: boolean,
): SourceStep {
  const { epoch, abortedEpoch, priorRunState } = record;
  const endEngine = { type: 'end-engine' } as const;
  if (priorRunState === 'running') {
    const state = { phase: 'resuming', epoch, abortedEpoch, priorRunState, cause, isPeerInformed } as const;
    return { state, effects: [endEngine, { type: 'resume-guest' }] };
  }
  const state = { phase: 'rolled-back', epoch, cause, isPeerInformed } as const;
  const told = { type: 'report', report: { outcome: 'rolled-back', cause } } as const;
  return { state, effects: [endEngine, told, { type: 'journal', record: state, sync: false }] };
}

/**
 * Destination: what was promised stays promised (`prepared` waits), an order that was journaled is given again
 * (`starting`, `destroying`), a preparation that was not finished is undone.
 */
export function recoverDestination(record: DestinationRecord): DestinationStep {
  const endEngine = { type: 'end-engine' } as const;
  switch (record.phase) {
    case 'preparing': {
      const reason = 'the destination daemon was restarted while it prepared the guest';
      const state = {
        phase: 'destroying',
        epoch: record.epoch,
        guest: null,
        answer: 'aborted',
        reason,
      } as const;
      return { state, effects: [endEngine, { type: 'destroy-guest', guest: null }] };
    }
    case 'starting':
      return {
        state: record,
        effects: [endEngine, { type: 'start-guest', guest: record.guest, isFirstOrder: false }],
      };
    case 'destroying':
      return { state: record, effects: [endEngine, { type: 'destroy-guest', guest: record.guest }] };
    case 'receiving':
    case 'prepared':
    case 'running':
    case 'aborted':
    case 'refused':
      return { state: record, effects: [endEngine] };
  }
}

/**
 * Whether the source must reach its peer to end the handover: the daemon connects (hello, welcome), then delivers
 * `link-restored`; while this stays true it delivers `retry` from time to time, or connects again.
 */
export function sourceNeedsPeer(state: SourceState): boolean {
  if (state.phase === 'committed' || state.phase === 'revoking') return true;
  return (state.phase === 'resuming' || state.phase === 'rolled-back') && !state.isPeerInformed;
}

/** Whether the destination holds a guest whose fate is open: no other migration may be armed, nothing may be forgotten. */
export function isDestinationUnsettled({ phase }: DestinationState): boolean {
  return phase === 'preparing' || phase === 'prepared' || phase === 'starting' || phase === 'destroying';
}
