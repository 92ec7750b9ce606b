// What happens to processes and link: crashes, restarts, an orphaned guard that acts, cuts and reconnects.
import type { DestinationEvent } from '../../src/dest-states.ts';
import { helloEpochs } from '../../src/epochs.ts';
import { sourceNeedsPeer } from '../../src/recovery.ts';
import { destinationActor, sourceActor, type Rules } from './rules.ts';
import { kept, sendNow, withoutLink } from './link.ts';
import type { Transition, World } from './world.ts';

export function processTransitions(world: World, rules: Rules): Transition[] {
  return [
    ...crashes(world),
    ...losses(world),
    ...returns(world),
    ...restarts(world, rules),
    ...guardActs(world, rules),
    ...cuts(world),
    ...reconnect(world, rules),
  ];
}

function crashes(world: World): Transition[] {
  if (world.budget.crashes === 0) return [];
  const after = { ...world, budget: { ...world.budget, crashes: world.budget.crashes - 1 } };
  const isGuardAlive = world.source !== null && world.guard !== 'dead';
  const isOrphanAlive = world.isOrphanArmed || world.guardian !== null;
  return [
    ...(world.source === null ? [] : killed('source', sourceKilled(after))),
    ...(world.destination === null ? [] : killed('destination', destinationKilled(after))),
    ...(isGuardAlive ? killed('guard', [{ ...after, guard: 'dead', wasGuardKilled: true }]) : []),
    ...(isOrphanAlive
      ? killed('orphaned guard', [{ ...after, isOrphanArmed: false, guardian: null, wasGuardKilled: true }])
      : []),
  ];
}

function killed(label: string, found: readonly World[]): Transition[] {
  return found.map((next) => ({ label: `${label} is killed`, kind: 'fault', world: next }));
}

function sourceKilled(world: World): World[] {
  return kept(world.toDestination, world.staleToDestination).map((staleToDestination) => ({
    ...world,
    source: null,
    isPulse: false,
    guard: 'idle',
    isOrphanArmed: world.isOrphanArmed || world.guard === 'armed',
    isLinkUp: false,
    isLossNews: false,
    isEpochFresh: false,
    toDestination: [],
    toSource: [],
    staleToDestination,
    staleToSource: null,
  }));
}

/** Its engine goes on until somebody ends it. */
function destinationKilled(world: World): World[] {
  return kept(world.toSource, world.staleToSource).map((staleToSource) => ({
    ...world,
    destination: null,
    isLinkUp: false,
    isLossNews: world.isLossNews || (world.isLinkUp && world.source !== null),
    isEngineWriting: false,
    isOrphanWriting: world.isOrphanWriting || world.isEngineWriting,
    toDestination: [],
    toSource: [],
    staleToDestination: null,
    staleToSource,
  }));
}

/** A host is gone for good, with its guest, daemon, guard and engines. */
function losses(world: World): Transition[] {
  if (world.budget.losses === 0) return [];
  const after = { ...world, budget: { ...world.budget, losses: world.budget.losses - 1 } };
  const withoutSource = sourceKilled(after).map((next): World => ({
    ...next,
    lostHost: 'source',
    isOrphanArmed: false,
    guardian: null,
    sourceGuest: 'lost',
  }));
  const withoutDestination = destinationKilled(after).map((next): World => ({
    ...next,
    lostHost: 'destination',
    isOrphanWriting: false,
    destinationGuest: world.destinationGuest === 'absent' ? 'absent' : 'dead',
  }));
  return [
    ...withoutSource.map((next): Transition => ({
      label: 'source host is lost',
      kind: 'fault',
      world: next,
    })),
    ...withoutDestination.map((next): Transition => ({
      label: 'destination host is lost',
      kind: 'fault',
      world: next,
    })),
  ];
}

/** Its daemon is started again after all, with its journal and without its guest: not before the operator has decided. */
function returns(world: World): Transition[] {
  const { lostHost, isBack, source, destination } = world;
  if (lostHost === 'none' || isBack) return [];
  const phase = (lostHost === 'source' ? destination : source)?.state.phase;
  const isDecided = ['running', 'aborted', 'refused', 'rolled-back', 'completed'].includes(phase ?? '');
  if (!isDecided) return [];
  return [{ label: `${lostHost} host is back`, kind: 'chance', world: { ...world, isBack: true } }];
}

function restarts(world: World, rules: Rules): Transition[] {
  const found: Transition[] = [];
  const gone = world.isBack ? 'none' : world.lostHost;
  const isLocked = world.guardian !== null && rules.doesGuardLock;
  if (world.source === null && !isLocked && gone !== 'source') {
    const source = sourceActor(rules.recoverSource(world.sourceRecord));
    found.push({ label: 'source restarts', kind: 'fair', world: { ...world, source, guard: 'idle' } });
  }
  if (world.destination === null && gone !== 'destination') {
    const destination = destinationActor(rules.recoverDestination(world.destinationRecord));
    found.push({ label: 'destination restarts', kind: 'fair', world: { ...world, destination } });
  }
  return found;
}

function guardActs(world: World, rules: Rules): Transition[] {
  if (!world.isOrphanArmed) return [];
  if (world.source !== null && rules.doesGuardLock) return [];
  const guardian = sourceActor(rules.recoverSource(world.sourceRecord));
  const after = { ...world, isOrphanArmed: false, guardian };
  return [{ label: 'orphaned guard acts', kind: 'fair', world: after }];
}

function cuts(world: World): Transition[] {
  if (!world.isLinkUp || world.budget.cuts === 0) return [];
  const budget = { ...world.budget, cuts: world.budget.cuts - 1 };
  return withoutLink({ ...world, budget, isLossNews: true }).map((after) => ({
    label: 'link is cut',
    kind: 'fault',
    world: after,
  }));
}

/**
 * Hello is the first message of a new connection, and says only what is journaled. The destination notices the end of
 * the old connection at the latest now.
 */
function reconnect(world: World, rules: Rules): Transition[] {
  const { source, destination } = world;
  if (world.isLinkUp || source === null || world.isLossNews || source.queue.length > 0) return [];
  if (destination === null || destination.queue.length > 0) return [];
  const { phase } = source.state;
  // Pages go on in an epoch of their own only; what is over here and there needs no connection.
  if (phase === 'precopy' && !world.isEpochFresh) return [];
  if (!(phase === 'precopy' || sourceNeedsPeer(source.state))) return [];
  const { epoch, abortedEpoch } = helloEpochs(source.state);
  const purpose = phase === 'precopy' ? 'resume' : 'resolve';
  const lost: DestinationEvent = { type: 'link-lost', reason: '' };
  const after: World = {
    ...world,
    isLinkUp: true,
    isEpochFresh: false,
    toDestination: [{ epoch, message: { type: 'hello', purpose, abortedEpoch } }],
    destination: destinationActor(rules.destinationStep(destination.state, lost)),
    source: sourceActor(rules.sourceStep(source.state, { type: 'link-restored' })),
  };
  return [{ label: `source says hello ${purpose}(${epoch})`, kind: 'fair', world: sendNow(after) }];
}
