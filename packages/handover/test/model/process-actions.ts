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
    ...restarts(world, rules),
    ...guardActs(world, rules),
    ...cuts(world),
    ...reconnect(world, rules),
  ];
}

function crashes(world: World): Transition[] {
  if (world.budget.crashes === 0) return [];
  const budget = { ...world.budget, crashes: world.budget.crashes - 1 };
  const found: Transition[] = [];
  if (world.source !== null) {
    for (const stale of kept(world.toDestination, world.staleToDestination)) {
      const after: World = {
        ...world,
        budget,
        source: null,
        guard: 'idle',
        isOrphanArmed: world.isOrphanArmed || world.guard === 'armed',
        isLinkUp: false,
        isLossNews: false,
        isEpochFresh: false,
        toDestination: [],
        toSource: [],
        staleToDestination: stale,
        staleToSource: null,
      };
      found.push({ label: 'source is killed', kind: 'fault', world: after });
    }
    if (world.guard !== 'dead') {
      const after: World = { ...world, budget, guard: 'dead', wasGuardKilled: true };
      found.push({ label: 'guard is killed', kind: 'fault', world: after });
    }
  }
  if (world.isOrphanArmed || world.guardian !== null) {
    const after = { ...world, budget, isOrphanArmed: false, guardian: null, wasGuardKilled: true };
    found.push({ label: 'orphaned guard is killed', kind: 'fault', world: after });
  }
  if (world.destination !== null) {
    for (const stale of kept(world.toSource, world.staleToSource)) {
      const after: World = {
        ...world,
        budget,
        destination: null,
        isLinkUp: false,
        isLossNews: world.isLossNews || (world.isLinkUp && world.source !== null),
        toDestination: [],
        toSource: [],
        staleToDestination: null,
        staleToSource: stale,
      };
      found.push({ label: 'destination is killed', kind: 'fault', world: after });
    }
  }
  return found;
}

function restarts(world: World, rules: Rules): Transition[] {
  const found: Transition[] = [];
  const isLocked = world.guardian !== null && rules.doesGuardLock;
  if (world.source === null && !isLocked) {
    const source = sourceActor(rules.recoverSource(world.sourceRecord));
    found.push({ label: 'source restarts', kind: 'fair', world: { ...world, source, guard: 'idle' } });
  }
  if (world.destination === null) {
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
