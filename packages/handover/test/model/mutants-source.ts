// The source's guard conditions, each taken away once.
import type { SourceEffect } from '../../src/effects.ts';
import type { SourceEvent, SourceState } from '../../src/source-states.ts';
import {
  crashAndFailure,
  cutAndFailure,
  lossAndCrash,
  oneCrash,
  oneCut,
  oneFailure,
  oneLoss,
  type Mutant,
} from './mutant.ts';
import { realRules, type Rules } from './rules.ts';

const { sourceStep, recoverSource } = realRules;

export const sourceMutants: readonly Mutant[] = [
  {
    condition: 'source: the guard is armed before the pause',
    rules: withoutSource((effect) => effect.type === 'arm-guard'),
    budget: oneCrash,
  },
  {
    condition: 'source: the intent is journaled before the pause',
    rules: withoutSource((effect) => effect.type === 'journal' && effect.record.phase === 'pausing'),
    budget: oneCrash,
  },
  {
    condition: 'source: the final round waits for the proven pause',
    rules: {
      sourceStep: (state, event) =>
        sourceStep(state, event.type === 'pause-failed' ? { type: 'guest-paused' } : event),
    },
    budget: oneFailure,
  },
  {
    condition: 'source: committed is journaled before commit is sent',
    rules: {
      sourceStep: (state, event) => {
        const step = sourceStep(state, event);
        if (state.phase !== 'offered' || step.state.phase !== 'committing') return step;
        const commit = { type: 'send', epoch: state.epoch, message: { type: 'commit' } } as const;
        return { state: step.state, effects: [commit, ...step.effects] };
      },
    },
    budget: oneCrash,
  },
  {
    condition: 'source: committed is journaled at all',
    rules: withoutSource((effect) => effect.type === 'journal' && effect.record.phase === 'committed', {
      type: 'journal',
      record: { phase: 'pausing', epoch: 1, abortedEpoch: null, priorRunState: 'running' },
      sync: true,
    }),
    budget: oneCrash,
  },
  {
    condition: 'source: a commit that may be on disk is revoked before the guest is resumed',
    rules: {
      sourceStep: (state, event) =>
        sourceStep(
          state.phase === 'committing' && event.type === 'journal-failed'
            ? { ...state, phase: 'offered' }
            : state,
          event,
        ),
    },
    budget: crashAndFailure,
  },
  {
    condition: 'source: after the commit a lost link resumes nothing',
    rules: asOfferedAfterCommit('link-lost'),
    budget: oneCut,
  },
  {
    condition: 'source: after the commit a failure resumes nothing',
    rules: asOfferedAfterCommit('failed'),
    budget: oneFailure,
  },
  {
    condition: 'source: after the commit cancel resumes nothing',
    rules: asOfferedAfterCommit('cancel'),
    budget: oneFailure,
  },
  {
    condition: 'source: a restart after the commit resumes nothing',
    rules: {
      recoverSource: (record) =>
        recoverSource(record.phase === 'committed' ? { ...record, phase: 'pausing' } : record),
    },
    budget: oneCrash,
  },
  {
    condition: 'source: a restart before the commit resumes the guest',
    rules: {
      recoverSource: (record) =>
        record.phase === 'pausing'
          ? { state: { ...record, phase: 'paused' }, effects: [] }
          : recoverSource(record),
    },
    budget: oneCrash,
  },
  {
    condition: 'source: commit is repeated until it is answered',
    rules: {
      sourceStep: (state, event) =>
        state.phase === 'committed' && (event.type === 'link-restored' || event.type === 'retry')
          ? { state, effects: [] }
          : sourceStep(state, event),
    },
    budget: oneCut,
  },
  {
    condition: 'source: abort is repeated until it is answered',
    rules: {
      sourceStep: (state, event) =>
        state.phase === 'rolled-back' && event.type === 'link-restored'
          ? { state, effects: [] }
          : sourceStep(state, event),
    },
    budget: oneCut,
  },
  {
    condition: 'source: a rollback resumes the guest',
    rules: withoutSource((effect) => effect.type === 'resume-guest'),
    budget: oneFailure,
  },
  {
    condition: 'source: a refusal resumes the guest',
    rules: {
      sourceStep: (state, event) =>
        state.phase === 'committed' && event.type === 'message' && event.message.type === 'refused'
          ? { state, effects: [] }
          : sourceStep(state, event),
    },
    budget: oneFailure,
  },
  {
    condition: 'source: a rollback leaves a guest paused that was paused before',
    rules: {
      sourceStep: (state, event) =>
        sourceStep(
          state,
          event.type === 'begin-switchover' ? { type: event.type, priorRunState: 'running' } : event,
        ),
    },
    budget: oneFailure,
    prior: 'paused',
  },
  {
    condition: 'source: a new epoch is journaled before its hello',
    rules: withoutSource((effect) => effect.type === 'journal' && effect.record.phase === 'precopy'),
    budget: crashAndFailure,
  },
  {
    condition: 'source: messages of an older epoch are dropped',
    rules: {
      sourceStep: (state, event) =>
        sourceStep(state, event.type === 'message' ? { ...event, epoch: state.epoch } : event),
    },
    budget: cutAndFailure,
  },
  {
    condition: 'source: the end of a pulse resumes the guest',
    rules: {
      sourceStep: (state, event) =>
        state.phase === 'paused' && event.type === 'end-pulse'
          ? sourceStep({ ...state, phase: 'going-on' }, { type: 'guest-resumed' })
          : sourceStep(state, event),
    },
    budget: oneCrash,
    start: { mayPulse: true },
  },
  {
    condition: 'source: a pulse is guarded until the guest runs again',
    rules: {
      sourceStep: (state, event) => {
        const step = sourceStep(state, event);
        if (state.phase !== 'paused' || step.state.phase !== 'going-on') return step;
        return { state: step.state, effects: [{ type: 'release-guard' }, ...step.effects] };
      },
    },
    budget: oneCrash,
    start: { mayPulse: true },
  },
  {
    condition: 'source: a guest that does not go on after a pulse is tried again',
    rules: ignoredBySource('going-on', 'retry'),
    budget: oneFailure,
    start: { mayPulse: true },
  },
  {
    condition: 'source: a takeover after the commit resumes the guest',
    rules: ignoredBySource('committed', 'operator-takeover'),
    budget: oneLoss,
  },
  {
    condition: 'source: a takeover is journaled before the guest is resumed',
    rules: withoutSource((effect) => effect.type === 'journal' && effect.record.phase === 'reclaimed'),
    budget: lossAndCrash,
  },
  {
    condition: 'source: a destination that was taken over from is told to abort, after a restart too',
    rules: {
      recoverSource: (record) =>
        recoverSource(
          record.phase === 'reclaimed' ? { ...record, cause: { ...record.cause, code: 'refused' } } : record,
        ),
    },
    budget: lossAndCrash,
  },
];

/** After the commit the event is treated as it is before it. */
function asOfferedAfterCommit(type: 'link-lost' | 'failed' | 'cancel'): Partial<Rules> {
  return {
    sourceStep: (state, event) =>
      sourceStep(
        state.phase === 'committed' && event.type === type ? { ...state, phase: 'offered' } : state,
        event,
      ),
  };
}

function ignoredBySource(phase: SourceState['phase'], type: SourceEvent['type']): Partial<Rules> {
  return {
    sourceStep: (state, event) =>
      state.phase === phase && event.type === type ? { state, effects: [] } : sourceStep(state, event),
  };
}

function withoutSource(isDropped: (effect: SourceEffect) => boolean, instead?: SourceEffect): Partial<Rules> {
  const replacement = instead === undefined ? [] : [instead];
  return {
    sourceStep: (state, event) => {
      const step = sourceStep(state, event);
      return {
        state: step.state,
        effects: step.effects.flatMap((effect) => (isDropped(effect) ? replacement : [effect])),
      };
    },
  };
}
