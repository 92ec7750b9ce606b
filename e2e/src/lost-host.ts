/** A host that is gone at once, as by a power failure: its guest, its daemon and all that belongs to it. */
import { signalIfThere } from '@pageferry/scripts/harness';
import type { Rig } from './rig.ts';
import { guardPids, guestPids } from './whereabouts.ts';

/** Nothing at the source is left to act; its image and its journal stay. */
export async function loseSource(rig: Rig): Promise<void> {
  for (const pid of [rig.source.pid, ...guardPids(rig), ...guestPids(rig, 'source')])
    signalIfThere(pid, 'SIGKILL');
  await rig.source.kill();
  await rig.guest.ended;
}

/** Nothing at the destination is left to act; its image and its journal stay. */
export async function loseDestination(rig: Rig): Promise<void> {
  for (const pid of [rig.destination.pid, ...guestPids(rig, 'destination')]) signalIfThere(pid, 'SIGKILL');
  await rig.destination.kill();
}
