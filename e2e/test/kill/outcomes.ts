/**
 * How a migration may end in which something was killed: it came to nothing and the guest is at the source, or it was
 * committed and the guest is at the destination. Either way one guest runs, and nothing stands in the way of what follows.
 */
import type { Test } from 'tap';
import { Rig } from '../../src/rig.ts';
import { findStrayGuests, untilNoGuestAtDestination } from '../../src/whereabouts.ts';

const SIZE_BYTES = 8 * 2 ** 20;

/** A small guest, daemons and proxy; they end with the test. */
export async function startRig(t: Test): Promise<Rig> {
  const rig = await Rig.start({ sizeBytes: SIZE_BYTES });
  t.teardown(() => rig.end());
  return rig;
}

/** Both sides know that it came to nothing, and what the destination prepared is dead. */
export async function endsAborted(t: Test, rig: Rig): Promise<void> {
  const over = ['failed', 'cancelled'];
  t.ok(over.includes((await rig.source.api.untilOver()).status), 'the source knows that it came to nothing');
  t.ok(over.includes((await rig.destination.api.untilOver()).status), 'and so does the destination');
  await untilNoGuestAtDestination(rig);
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest runs at the source only');
}

/** Nothing stands in the way of the next migration. */
export async function movesNow(t: Test, rig: Rig): Promise<void> {
  await rig.migrate();
  await rig.untilMoved();
  t.same(await findStrayGuests(rig, 'destination'), [], 'the next migration moves the guest');
  t.same(await rig.findProblems(), [], 'with all of its memory');
}

/** What was committed comes to its end: one guest, at the destination, with all of its memory. */
export async function completes(t: Test, rig: Rig, written: number): Promise<void> {
  t.equal((await rig.source.api.untilOver()).status, 'completed', 'the source knows the end');
  t.equal((await rig.destination.api.untilOver()).status, 'completed', 'and so does the destination');
  await rig.workload.untilItWritesAtDestination();
  t.same(await findStrayGuests(rig, 'destination'), [], 'the guest runs at the destination only');
  t.equal(rig.workload.operationCountOf('source'), written, 'it never went on at the source');
  t.same(await rig.findProblems(), [], 'with all of its memory, once');
}
