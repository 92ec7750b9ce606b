/** What a migration on a hostile host must come to: the guest at the source with the cause named, or at the destination. */
import type { MigrationStatus } from '@pageferry/protocol';
import type { Test } from 'tap';
import type { Rig } from './rig.ts';
import { findStrayGuests, untilNoGuestAtDestination } from './whereabouts.ts';

/** The migration has failed; one guest runs, at the source. Gives the source's status for more to be asked of it. */
export async function failsAtSource(t: Test, rig: Rig): Promise<MigrationStatus> {
  const status = await rig.source.api.untilOver();
  t.equal(status.status, 'failed', 'the migration fails');
  t.ok(status['error-desc'], `and says why: ${status['error-desc']}`);
  await rig.destination.api.untilOver();
  await untilNoGuestAtDestination(rig);
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest runs at the source only');
  return status;
}

/** A migration succeeds; one guest runs, at the destination, with all of its memory. */
export async function movesNow(t: Test, rig: Rig): Promise<void> {
  await rig.migrate();
  await hasMoved(t, rig);
}

/** The migration that was started succeeds. */
export async function hasMoved(t: Test, rig: Rig): Promise<void> {
  await rig.untilMoved();
  t.same(await findStrayGuests(rig, 'destination'), [], 'the guest runs at the destination only');
  t.same(await rig.findProblems(), [], 'with all of its memory');
}
