/**
 * Where the guest is, seen from outside: which of its processes /proc says are running, and which instance goes on
 * with the log. No daemon is asked, so a daemon that is mistaken shows.
 */
import { commandLineOf, eventually, processesNaming, processState } from '@pageferry/scripts/harness';
import type { Rig } from './rig.ts';

/** The guest's two instances, as the log names them. */
export type Instance = 'source' | 'destination';

/** Sides of the guest's processes that are not stopped; exactly one when all is well. */
export function runningGuests(rig: Rig): readonly Instance[] {
  return guestProcesses(rig)
    .filter(({ state }) => state !== 'T' && state !== 't')
    .map(({ instance }) => instance);
}

/** Resolves when the instance has done another operation. */
export async function untilItWritesAt(rig: Rig, instance: Instance): Promise<void> {
  const before = rig.workload.operationCountOf(instance);
  await eventually(`an operation of the guest at the ${instance}`, () =>
    rig.workload.operationCountOf(instance) > before ? true : undefined,
  );
}

/** In words what is wrong with a guest that runs at this side and nowhere else; empty if nothing is. */
export async function findStrayGuests(rig: Rig, instance: Instance): Promise<readonly string[]> {
  const other = instance === 'source' ? 'destination' : 'source';
  await untilItWritesAt(rig, instance);
  const writtenElsewhere = rig.workload.operationCountOf(other);
  await untilItWritesAt(rig, instance);
  const running = runningGuests(rig);
  const isAlone = running.length === 1 && running[0] === instance;
  const isSilent = rig.workload.operationCountOf(other) === writtenElsewhere;
  return [
    ...(isAlone ? [] : [`running guests: ${running.join(', ') || 'none'}`]),
    ...(isSilent ? [] : [`the guest at the ${other} writes too`]),
  ];
}

/** Resolves when no process of a guest is left at the destination, not even a stopped one. */
export async function untilNoGuestAtDestination(rig: Rig): Promise<void> {
  await eventually('the end of what the destination prepared', () =>
    guestProcesses(rig).some(({ instance }) => instance === 'destination') ? undefined : true,
  );
}

/** Guards of the source's daemon: one that waits, or the one of the migration. */
export function guardPids(rig: Rig): readonly number[] {
  return processesNaming(rig.source.stateDirectory).filter((pid) =>
    commandLineOf(pid).some((argument) => argument.endsWith('/guard-main.js')),
  );
}

/** Both instances name themselves; so does the destination's while it still waits to be executed. */
function guestProcesses(rig: Rig): { readonly instance: Instance; readonly state: string }[] {
  return processesNaming(rig.directory).flatMap((pid) => {
    const words = commandLineOf(pid);
    const instance = words[words.indexOf('--instance') + 1];
    const state = processState(pid);
    if ((instance !== 'source' && instance !== 'destination') || state === undefined) return [];
    return [{ instance, state }];
  });
}
