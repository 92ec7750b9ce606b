// What the model explores: the very functions that the daemons import, plus the conditions that live in the daemons'
// surroundings (the journal's lock, the verified roots). A mutant replaces one of them by a wrapper.
import { beginDestination, destinationStep } from '../../src/dest-step.ts';
import type { DestinationEffect, DestinationStep, SourceEffect, SourceStep } from '../../src/effects.ts';
import type { DestinationRecord, SourceRecord } from '../../src/journal-record.ts';
import { recoverDestination, recoverSource } from '../../src/recovery.ts';
import { beginSource, sourceStep } from '../../src/source-step.ts';
import type { Cause, RunState } from '../../src/messages.ts';
import type { Budget, DestinationActor, SourceActor, World } from './world.ts';

export interface Rules {
  readonly sourceStep: typeof sourceStep;
  readonly destinationStep: typeof destinationStep;
  readonly recoverSource: typeof recoverSource;
  readonly recoverDestination: typeof recoverDestination;
  /** The guard takes the journal's lock and reads it under the lock. */
  readonly doesGuardLock: boolean;
  /** A handover is taken only if its roots are equal. */
  readonly areRootsChecked: boolean;
  /** The destination's daemon ends its engine before it delivers a verified handover. */
  readonly isEngineEndedByHandover: boolean;
  /** The destination's daemon ends the engine of the older epoch before it takes a newer one. */
  readonly isOlderEngineEnded: boolean;
  /** The destination answers what a source asks about an older epoch. */
  readonly isOlderEpochAnswered: boolean;
  /** The operator says takeover at the destination only where the source's host is gone for good. */
  readonly isSourceFenced: boolean;
  /** And at the source only where the destination's is. */
  readonly isDestinationFenced: boolean;
  /** The operator says takeover only where the guest did not go on at the source after it was prepared. */
  readonly isMemoryChecked: boolean;
}

export const realRules: Rules = {
  sourceStep,
  destinationStep,
  recoverSource,
  recoverDestination,
  doesGuardLock: true,
  areRootsChecked: true,
  isEngineEndedByHandover: true,
  isOlderEngineEnded: true,
  isOlderEpochAnswered: true,
  isSourceFenced: true,
  isDestinationFenced: true,
  isMemoryChecked: true,
};

/** A migration in its first epoch, both journals written, the guest not paused by us. */
export function initialWorld(prior: RunState, budget: Budget, epochMax = 2): World {
  const { state: source } = beginSource(1);
  const { state: destination } = beginDestination(1);
  return {
    prior,
    source: { state: source, queue: [] },
    destination: { state: destination, queue: [] },
    guard: 'idle',
    isOrphanArmed: false,
    guardian: null,
    wasGuardKilled: false,
    sourceRecord: { phase: 'precopy', epoch: 1, abortedEpoch: null },
    destinationRecord: { phase: 'receiving', epoch: 1 },
    sourceGuest: prior,
    destinationGuest: 'absent',
    hasRun: false,
    scannedEpoch: 0,
    verifiedEpoch: 0,
    mayPulse: false,
    isPulse: false,
    isLinkUp: true,
    isLossNews: false,
    isEpochFresh: false,
    toDestination: [],
    toSource: [],
    staleToDestination: null,
    staleToSource: null,
    isEngineWriting: true,
    isOrphanWriting: false,
    lostHost: 'none',
    isBack: false,
    epochMax,
    budget,
  };
}

const OTHER_CAUSE = { code: 'failed', reason: '' } as const;
const TAKEN_OVER_CAUSE = { code: 'taken-over', reason: '' } as const;

/** The only cause that a transition looks at. */
function bareCause({ code }: Cause): Cause {
  return code === 'taken-over' ? TAKEN_OVER_CAUSE : OTHER_CAUSE;
}

const TWO_OWNERS: SourceEffect = { type: 'report', report: { outcome: 'two-owners', reason: '' } };

/** The actor after a transition, without what no transition depends on. */
export function sourceActor({ state, effects }: SourceStep): SourceActor {
  return {
    state: 'cause' in state ? { ...state, cause: bareCause(state.cause) } : state,
    queue: effects.flatMap(bareSourceEffect),
  };
}

function bareSourceEffect(effect: SourceEffect): SourceEffect[] {
  // The source's engine only reads; what an old one still sends is the destination's engine's to refuse.
  if (effect.type === 'end-engine') return [];
  if (effect.type === 'report') return effect.report.outcome === 'two-owners' ? [TWO_OWNERS] : [];
  if (effect.type === 'journal') return [{ ...effect, record: bareSourceRecord(effect.record) }];
  if (effect.type !== 'send' || effect.message.type !== 'abort') return [effect];
  return [{ ...effect, message: { type: 'abort', reason: '' } }];
}

function bareSourceRecord(record: SourceRecord): SourceRecord {
  return 'cause' in record ? { ...record, cause: bareCause(record.cause) } : record;
}

/** The actor after a transition, without what no transition depends on. */
export function destinationActor({ state, effects }: DestinationStep): DestinationActor {
  return {
    state: 'reason' in state ? { ...state, reason: '' } : state,
    queue: effects.flatMap(bareDestinationEffect),
  };
}

function bareDestinationEffect(effect: DestinationEffect): DestinationEffect[] {
  if (effect.type === 'report') return [];
  if (effect.type === 'journal') return [{ ...effect, record: bareDestinationRecord(effect.record) }];
  if (effect.type !== 'send' || !('reason' in effect.message)) return [effect];
  return [{ ...effect, message: { ...effect.message, reason: '' } }];
}

function bareDestinationRecord(record: DestinationRecord): DestinationRecord {
  return 'reason' in record ? { ...record, reason: '' } : record;
}
