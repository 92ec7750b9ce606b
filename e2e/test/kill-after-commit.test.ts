/**
 * Daemons killed after the commit: the guest stays stopped at the source, and runs at the destination, once, when both
 * daemons are there again.
 */
import { processState } from '@pageferry/scripts/harness';
import { join } from 'node:path';
import t from 'tap';
import { reachMessage } from '../src/reach.ts';
import { guardPids, runningGuests } from '../src/whereabouts.ts';
import { completes, startRig } from './kill/outcomes.ts';

for (const name of ['commit', 'running'] as const) {
  const guestsWithoutSource = name === 'running' ? ['destination'] : [];

  void t.test(`source daemon killed after the commit, ${name} held`, async (t) => {
    const rig = await startRig(t);
    await reachMessage(rig, name);
    if (name === 'running') await rig.workload.untilItWritesAtDestination();
    const written = rig.workload.operationCountOf('source');
    await rig.source.kill();
    t.same(guardPids(rig), [], 'the guard is gone');
    t.equal(processState(rig.guest.pid), 'T', 'the guest stays stopped at the source');
    t.same(runningGuests(rig), guestsWithoutSource);
    await rig.source.start();
    await completes(t, rig, written);
  });

  void t.test(`destination daemon killed after the commit, ${name} held`, async (t) => {
    const rig = await startRig(t);
    await reachMessage(rig, name);
    if (name === 'running') await rig.workload.untilItWritesAtDestination();
    const written = rig.workload.operationCountOf('source');
    await rig.destination.kill();
    await rig.source.api.until('asking again', ({ pageferry }) => pageferry.phase === 'reconnecting');
    t.equal(processState(rig.guest.pid), 'T', 'the guest stays stopped at the source');
    await rig.destination.start();
    await completes(t, rig, written);
  });

  for (const first of ['source', 'destination'] as const) {
    void t.test(`both daemons killed after the commit, ${name} held, the ${first} back first`, async (t) => {
      const rig = await startRig(t);
      await reachMessage(rig, name);
      if (name === 'running') await rig.workload.untilItWritesAtDestination();
      const written = rig.workload.operationCountOf('source');
      await Promise.all([rig.source.kill(), rig.destination.kill()]);
      t.equal(processState(rig.guest.pid), 'T', 'the guest stays stopped at the source');
      t.same(runningGuests(rig), guestsWithoutSource);
      await rig[first].start();
      await rig[first === 'source' ? 'destination' : 'source'].start();
      await completes(t, rig, written);
    });
  }
}

void t.test('an answer that the source has not heard outlives the next arming', async (t) => {
  const rig = await startRig(t);
  await reachMessage(rig, 'running');
  await rig.workload.untilItWritesAtDestination();
  const otherImage = join(rig.directory, 'other.ram');
  await rig.arm({ blocks: [{ id: 'pc.ram', path: otherImage, create: true }], guest: { type: 'none' } });
  t.equal((await rig.source.api.untilOver()).status, 'completed');
  t.equal(processState(rig.guest.pid), 'T', 'the guest stays stopped at the source');
  t.same(runningGuests(rig), ['destination']);
});
