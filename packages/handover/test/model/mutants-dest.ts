// The destination's guard conditions, and the guard's, each taken away once.
import type { DestinationEffect } from '../../src/effects.ts';
import {
  crashAndCut,
  crashAndFailure,
  oneCrash,
  oneCut,
  oneFailure,
  oneLoss,
  twoFailures,
  type Mutant,
} from './mutant.ts';
import { realRules, type Rules } from './rules.ts';
import type { World } from './world.ts';

const { destinationStep, recoverDestination } = realRules;

/** Epoch 1 was refused; a commit of it, repeated after a cut, is still on its way through the connection that died. */
const afterRefusal: Partial<World> = {
  source: { state: { phase: 'precopy', epoch: 2, abortedEpoch: 1 }, queue: [] },
  sourceRecord: { phase: 'precopy', epoch: 2, abortedEpoch: 1 },
  destination: { state: { phase: 'receiving', epoch: 2 }, queue: [] },
  destinationRecord: { phase: 'receiving', epoch: 2 },
  destinationGuest: 'dead',
  staleToDestination: { epoch: 1, message: { type: 'commit' } },
};

/** Epoch 2 was asked about, never journaled at the source, and forgotten with its daemon; epoch 1 was rolled back. */
const afterForgottenEpoch: Partial<World> = {
  source: null,
  sourceRecord: {
    phase: 'rolled-back',
    epoch: 1,
    cause: { code: 'failed', reason: '' },
    isPeerInformed: false,
  },
  destination: { state: { phase: 'receiving', epoch: 2 }, queue: [] },
  destinationRecord: { phase: 'receiving', epoch: 2 },
  isEngineWriting: false,
  isLinkUp: false,
};

export const destinationMutants: readonly Mutant[] = [
  {
    condition: 'destination: messages of an older epoch are dropped',
    rules: {
      destinationStep: (state, event) =>
        destinationStep(state, event.type === 'message' ? { ...event, epoch: state.epoch } : event),
    },
    budget: oneFailure,
    start: afterRefusal,
  },
  {
    condition: 'destination: a newer epoch follows only one that the source has recorded as aborted',
    rules: {
      destinationStep: (state, event) =>
        destinationStep(
          state,
          event.type === 'newer-epoch' ? { ...event, abortedEpoch: state.epoch } : event,
        ),
    },
    budget: oneFailure,
  },
  {
    condition: 'destination: roots are compared before anything is prepared',
    rules: { areRootsChecked: false },
    budget: oneFailure,
  },
  {
    condition: 'destination: prepared waits for commit, a lost link starts nothing',
    rules: {
      destinationStep: (state, event) =>
        destinationStep(
          state,
          state.phase === 'prepared' && event.type === 'link-lost'
            ? { type: 'message', epoch: state.epoch, message: { type: 'commit' } }
            : event,
        ),
    },
    budget: oneCut,
  },
  {
    condition: 'destination: a handover that is not committed starts nothing',
    rules: {
      destinationStep: (state, event) => {
        const step = destinationStep(state, event);
        if (event.type !== 'guest-prepared' || step.state.phase !== 'prepared') return step;
        const commit = { type: 'message', epoch: state.epoch, message: { type: 'commit' } } as const;
        return destinationStep(step.state, commit);
      },
    },
    budget: oneFailure,
  },
  {
    condition: 'destination: the guest is dead before aborted is answered',
    rules: {
      destinationStep: (state, event) =>
        destinationStep(
          state.phase === 'prepared' && event.type === 'message' && event.message.type === 'abort'
            ? { phase: 'receiving', epoch: state.epoch }
            : state,
          event,
        ),
    },
    budget: oneFailure,
  },
  {
    condition: 'destination: aborted is journaled before it is answered',
    rules: withoutDestination(
      (effect) => effect.type === 'journal' && ['destroying', 'aborted'].includes(effect.record.phase),
    ),
    budget: crashAndFailure,
  },
  {
    condition: 'destination: refused is journaled before it is answered',
    rules: withoutDestination(
      (effect) => effect.type === 'journal' && ['destroying', 'refused'].includes(effect.record.phase),
    ),
    budget: crashAndFailure,
  },
  {
    condition: 'destination: the order to start is journaled before it is given',
    rules: withoutDestination((effect) => effect.type === 'journal' && effect.record.phase === 'starting'),
    budget: crashAndFailure,
  },
  {
    condition: 'destination: an order to start that is not answered is no refusal',
    rules: {
      destinationStep: (state, event) =>
        destinationStep(state, event.type === 'start-unknown' ? { ...event, type: 'start-refused' } : event),
    },
    budget: oneFailure,
  },
  {
    condition: 'destination: an order to start that is not answered is given again',
    rules: {
      destinationStep: (state, event) =>
        state.phase === 'starting' && (event.type === 'retry' || event.type === 'message')
          ? { state, effects: [] }
          : destinationStep(state, event),
    },
    budget: oneFailure,
  },
  {
    condition: 'destination: the operator cannot abort what was ordered to start',
    rules: {
      destinationStep: (state, event) =>
        destinationStep(
          state.phase === 'starting' && event.type === 'operator-abort'
            ? { ...state, phase: 'prepared', runState: 'running' }
            : state,
          event,
        ),
    },
    budget: twoFailures,
  },
  {
    condition: 'destination: a restart remembers that the order to start was given',
    rules: {
      recoverDestination: (record) =>
        recoverDestination(
          record.phase === 'starting' ? { ...record, phase: 'prepared', runState: 'running' } : record,
        ),
    },
    budget: crashAndFailure,
  },
  {
    condition: 'destination: running is answered again',
    rules: {
      destinationStep: (state, event) =>
        state.phase === 'running' && event.type === 'message'
          ? { state, effects: [] }
          : destinationStep(state, event),
    },
    budget: oneCut,
  },
  {
    condition: 'destination: a guest that was paused before is not started',
    rules: {
      destinationStep: (state, event) =>
        destinationStep(
          state,
          event.type === 'handover-verified' ? { ...event, runState: 'running' } : event,
        ),
    },
    budget: oneFailure,
    prior: 'paused',
  },
  {
    condition: 'destination: an abort that comes after the order to start ends nothing',
    rules: {
      destinationStep: (state, event) => {
        const isStarted = state.phase === 'starting' || state.phase === 'running';
        const isAbort = event.type === 'message' && event.message.type === 'abort';
        const { epoch } = state;
        if (!isStarted || !isAbort) return destinationStep(state, event);
        return destinationStep({ phase: 'prepared', epoch, runState: 'running', guest: state.guest }, event);
      },
    },
    budget: crashAndFailure,
  },
  {
    condition: 'destination: what was prepared is dead before a newer epoch is received',
    rules: {
      destinationStep: (state, event) =>
        destinationStep(
          state.phase === 'prepared' && event.type === 'newer-epoch'
            ? { phase: 'receiving', epoch: state.epoch }
            : state,
          event,
        ),
    },
    budget: oneCut,
  },
  {
    condition: 'destination: an older epoch is answered',
    rules: { isOlderEpochAnswered: false },
    budget: crashAndFailure,
    start: afterForgottenEpoch,
  },
  {
    condition: 'destination: a takeover starts what was prepared',
    rules: {
      destinationStep: (state, event) =>
        event.type === 'operator-takeover' ? { state, effects: [] } : destinationStep(state, event),
    },
    budget: oneLoss,
  },
  {
    condition: 'destination: a restart ends the engine of the daemon before',
    rules: {
      recoverDestination: (record) => {
        const { state, effects } = recoverDestination(record);
        return { state, effects: effects.filter(({ type }) => type !== 'end-engine') };
      },
    },
    budget: oneCrash,
  },
  {
    condition: 'destination: the engine ends before a verified handover counts',
    rules: { isEngineEndedByHandover: false },
    budget: oneFailure,
  },
  {
    condition: 'destination: the engine of an older epoch ends before a newer one is received',
    rules: { isOlderEngineEnded: false },
    budget: oneCut,
  },
  {
    condition: 'guard: it acts only under the journal’s lock',
    rules: { doesGuardLock: false },
    budget: crashAndCut,
  },
];

function withoutDestination(isDropped: (effect: DestinationEffect) => boolean): Partial<Rules> {
  return {
    destinationStep: (state, event) => {
      const step = destinationStep(state, event);
      return { state: step.state, effects: step.effects.filter((effect) => !isDropped(effect)) };
    },
  };
}
