// What must hold. Safety in every state; settlement in every state in which nothing fair is left to happen.
import type { World } from './world.ts';

/** The rule that a state breaks, or null. */
export function brokenRule(world: World): string | null {
  const { sourceRecord: source, destinationRecord: destination, sourceGuest, destinationGuest } = world;
  if (sourceGuest === 'running' && destinationGuest === 'running') return 'two guests run';
  const isLost = world.lostHost !== 'none';
  if (destinationGuest === 'running' && (world.isEngineWriting || world.isOrphanWriting))
    return 'an engine can write into the memory of a running guest';
  if (!isLost && world.source?.queue.some(({ type }) => type === 'report') === true)
    return 'the source hears that the guest has two owners';
  // What ran at a host that is gone for good cannot be known; the operator's word stands for it.
  if (sourceGuest === 'running' && world.hasRun && world.lostHost !== 'destination')
    return 'the source runs a guest that has run at the destination';
  if (world.prior === 'paused' && (sourceGuest === 'running' || world.hasRun)) {
    return 'a guest runs that was paused before';
  }
  const isEnded = destination.phase === 'aborted' || destination.phase === 'refused';
  if (isEnded && (destinationGuest === 'stopped' || destinationGuest === 'running')) {
    return 'the destination says that its guest is dead, but it is not';
  }
  if (destination.phase === 'receiving' && (destinationGuest === 'stopped' || destinationGuest === 'running'))
    return 'a guest of an older epoch is left behind';
  const isOwnedHere = source.phase === 'rolled-back' && source.epoch === destination.epoch;
  if (!isLost && isOwnedHere && (destination.phase === 'running' || destination.phase === 'starting'))
    return 'two owners';
  if (isEnded && world.hasRun) return 'a guest that ran was given back';
  return isUncovered(world)
    ? 'the daemon is dead, the guest paused by us, and no guard will resume it'
    : null;
}

/** Killed before `committed`, the guard resumes the guest without a restart. (After it, the daemon must be started.) */
function isUncovered(world: World): boolean {
  const { phase } = world.sourceRecord;
  const isOurs = phase === 'precopy' || phase === 'pausing' || phase === 'rolled-back';
  const isPausedByUs = world.prior === 'running' && world.sourceGuest === 'paused';
  const isCovered = world.isOrphanArmed || world.guardian !== null || world.wasGuardKilled;
  return world.source === null && isOurs && isPausedByUs && !isCovered;
}

/** The rule that the step from `before` to `after` breaks, or null: what runs must be what was scanned and verified. */
export function brokenStep(before: World, after: World): string | null {
  if (before.destinationGuest === 'running' || after.destinationGuest !== 'running') return null;
  const { epoch } = after.destinationRecord;
  if (after.scannedEpoch !== epoch) return 'the guest starts on memory that was not scanned since the pause';
  return after.verifiedEpoch === epoch ? null : 'the guest starts on memory whose roots were not compared';
}

/** Exactly one side owns the guest, both sides know it, and it is in its run state (or crashed at its new home). */
export function isSettled(world: World): boolean {
  const { source, destination } = world;
  if (world.lostHost !== 'none') return isSettledAfterLoss(world);
  if (source === null || destination === null) return false;
  const { state } = source;
  if (state.phase === 'completed') {
    const { prior, destinationGuest } = world;
    const isInRunState = prior === 'running' ? world.hasRun : !world.hasRun && destinationGuest !== 'absent';
    return destination.state.phase === 'running' && isInRunState && world.sourceGuest === 'paused';
  }
  const { phase, epoch } = destination.state;
  // An epoch that the source has asked about and forgotten holds neither guest nor engine; the next epoch ends it.
  const isForgotten = phase === 'receiving' && epoch > state.epoch && !world.isEngineWriting;
  const isOver = phase === 'aborted' || phase === 'refused' || isForgotten;
  return state.phase === 'rolled-back' && state.isPeerInformed && isOver && world.sourceGuest === world.prior;
}

/**
 * The guest is owned at the host that is left, in its run state; or it has ended there with the other host, which had it
 * last (`completed` at the source; at the destination nothing was prepared, or the source had gone on with it). A destination
 * that is back does not wait for a word that nobody says.
 */
function isSettledAfterLoss({ source, destination, lostHost, ...world }: World): boolean {
  if (lostHost === 'destination') {
    if (destination?.state.phase === 'prepared') return false;
    if (source?.state.phase === 'completed') return world.sourceGuest === 'paused';
    return source?.state.phase === 'rolled-back' && world.sourceGuest === world.prior;
  }
  const phase = destination?.state.phase;
  return phase === 'running'
    ? world.hasRun === (world.prior === 'running')
    : phase === 'aborted' || phase === 'refused';
}
