/**
 * Where the guest is, seen from outside: which of its processes /proc says are running, and which instance goes on
 * with the log. No daemon is asked, so a daemon that is mistaken shows.
 */
import { commandLineOf, eventually, processesNaming, processState } from '@pageferry/scripts/harness';
import type { Rig } from './rig.ts';

/** The guest's two instances, as the log names them. */
export type Instance = 'source' | 'destination';

/** All that is asked of a rig here. Command lines of the guest's processes name the directory. */
export type Site = Pick<Rig, 'directory' | 'workload'>;

/** How the destination names the shell that waits to become the guest. */
const WAITING_SHELL = 'pageferry-guest';

/** Sides of the guest's processes that are not stopped; exactly one when all is well. */
export function runningGuests(rig: Site): readonly Instance[] {
  return runningGuestProcesses(rig).map(({ instance }) => instance);
}

/** As above, with the processes' ids. A shell that waits to become the guest is none, whatever its state. */
export function runningGuestProcesses(
  rig: Site,
): readonly { readonly instance: Instance; readonly pid: number }[] {
  return guestProcesses(rig).filter(({ state, isWaiting }) => state !== 'T' && state !== 't' && !isWaiting);
}

/** Resolves when the instance has done another operation. */
export async function untilItWritesAt(rig: Site, instance: Instance): Promise<void> {
  const before = rig.workload.operationCountOf(instance);
  await eventually(`an operation of the guest at the ${instance}`, () =>
    rig.workload.operationCountOf(instance) > before ? true : undefined,
  );
}

/** In words what is wrong with a guest that runs at this side and nowhere else; empty if nothing is. */
export async function findStrayGuests(rig: Site, instance: Instance): Promise<readonly string[]> {
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
export async function untilNoGuestAtDestination(rig: Site): Promise<void> {
  await eventually('the end of what the destination prepared', () =>
    guestProcesses(rig).some(({ instance }) => instance === 'destination') ? undefined : true,
  );
}

/** Processes of the guest at this side, running or stopped. */
export function guestPids(rig: Site, instance: Instance): readonly number[] {
  return guestProcesses(rig)
    .filter((guest) => guest.instance === instance)
    .map(({ pid }) => pid);
}

/** Guards of the source's daemon: one that waits, or the one of the migration. */
export function guardPids(rig: Pick<Rig, 'source'>): readonly number[] {
  return processesNaming(rig.source.stateDirectory).filter((pid) =>
    commandLineOf(pid).some((argument) => argument.endsWith('/guard-main.js')),
  );
}

interface GuestProcess {
  readonly instance: Instance;
  readonly pid: number;
  readonly state: string;
  readonly isWaiting: boolean;
}

/** Both instances name themselves; so does the destination's while it still waits to be executed. */
function guestProcesses(rig: Site): readonly GuestProcess[] {
  return processesNaming(rig.directory).flatMap((pid) => {
    const words = commandLineOf(pid);
    const instance = words[words.indexOf('--instance') + 1];
    const state = processState(pid);
    if ((instance !== 'source' && instance !== 'destination') || state === undefined) return [];
    return [{ instance, pid, state, isWaiting: words[3] === WAITING_SHELL }];
  });
}
