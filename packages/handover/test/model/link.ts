// The connection between the daemons: how the source puts messages on it, and what is left of it when it ends.
import type { World } from './world.ts';

/** Sending is one with the effect before it: a crash in between loses the message as a crash behind it may. */
export function sendNow(world: World): World {
  const [effect, ...queue] = world.source?.queue ?? [];
  if (world.source === null || effect?.type !== 'send' || !world.isLinkUp) return world;
  const { epoch, message } = effect;
  const source = { ...world.source, queue };
  return sendNow({ ...world, source, toDestination: [...world.toDestination, { epoch, message }] });
}

/** Every way in which the connection can end. */
export function withoutLink(world: World): World[] {
  if (!world.isLinkUp) return [world];
  return kept(world.toDestination, world.staleToDestination).flatMap((staleToDestination) =>
    kept(world.toSource, world.staleToSource).map((staleToSource) => ({
      ...world,
      isLinkUp: false,
      toDestination: [],
      toSource: [],
      staleToDestination,
      staleToSource,
    })),
  );
}

/** A connection that dies keeps nothing, or any one message that was in flight, to be delivered late. */
export function kept<M>(inFlight: readonly M[], before: M | null): (M | null)[] {
  return [before, ...inFlight];
}
