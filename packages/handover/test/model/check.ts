// What must hold. Safety in every state; settlement in every state in which nothing fair is left to happen.
import type { World } from './world.ts';

/** The rule that a state breaks, or null. */
export function brokenRule(world: World): string | null {
  const { sourceRecord: source, destinationRecord: destination, sourceGuest, destinationGuest } = world;
  if (sourceGuest === 'running' && destinationGuest === 'running') return 'two guests run';
  if (sourceGuest === 'running' && world.hasRun)
    return 'the source runs a guest that has run at the destination';
  if (world.prior === 'paused' && (sourceGuest === 'running' || world.hasRun)) {
    return 'a guest runs that was paused before';
  }
  const isEnded = destination.phase === 'aborted' || destination.phase === 'refused';
  if (isEnded && (destinationGuest === 'stopped' || destinationGuest === 'running')) {
    return 'the destination says that its guest is dead, but it is not';
  }
  const isOwnedHere = source.phase === 'rolled-back' && source.epoch === destination.epoch;
  if (isOwnedHere && (destination.phase === 'running' || destination.phase === 'starting'))
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
  if (source === null || destination === null) return false;
  const { state } = source;
  if (state.phase === 'completed') {
    const { prior, destinationGuest } = world;
    const isInRunState = prior === 'running' ? world.hasRun : !world.hasRun && destinationGuest !== 'absent';
    return destination.state.phase === 'running' && isInRunState && world.sourceGuest === 'paused';
  }
  const isOver = destination.state.phase === 'aborted' || destination.state.phase === 'refused';
  return state.phase === 'rolled-back' && state.isPeerInformed && isOver && world.sourceGuest === world.prior;
}
