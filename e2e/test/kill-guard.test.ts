/** The guard killed, idle or armed, and daemons that are asked to end while the guest is paused. */
import { processState, signalIfThere, untilGone } from '@pageferry/scripts/harness';
import { problemType } from '@pageferry/protocol';
import t from 'tap';
import { reachBulk, reachMessage, reachPreSwitchover } from '../src/reach.ts';
import type { Rig } from '../src/rig.ts';
import { findStrayGuests, guardPids, runningGuests } from '../src/whereabouts.ts';
import { completes, endsAborted, movesNow, startRig } from './kill/outcomes.ts';

void t.test('guard killed before there is a migration', async (t) => {
  const rig = await startRig(t);
  await killGuard(rig);
  await movesNow(t, rig);
});

const phases = [
  { name: 'idle, in the bulk stage', reach: reachBulk },
  { name: 'armed, in pre-switchover', reach: reachPreSwitchover },
  { name: 'armed, ready held', reach: (rig: Rig) => reachMessage(rig, 'ready') },
];

for (const { name, reach } of phases) {
  void t.test(`guard killed ${name}`, async (t) => {
    const rig = await startRig(t);
    await reach(rig);
    await killGuard(rig);
    const status = await rig.source.api.untilOver();
    t.equal(status.status, 'failed', 'no migration goes on unguarded');
    const { type, peer } = status.pageferry.problem ?? {};
    t.same({ type, peer }, { type: problemType('engine-died'), peer: 'source' });
    t.match(status['error-desc'], /guard/);
    await endsAborted(t, rig);
    await movesNow(t, rig);
  });
}

void t.test('guard killed after the commit', async (t) => {
  const rig = await startRig(t);
  const hold = await reachMessage(rig, 'running');
  const written = rig.workload.operationCountOf('source');
  await killGuard(rig);
  hold.release();
  await completes(t, rig, written);
});

void t.test('a signal to its whole group does not end an armed guard', async (t) => {
  const rig = await startRig(t);
  await reachPreSwitchover(rig);
  for (const pid of guardPids(rig)) signalIfThere(pid, 'SIGTERM');
  await rig.source.kill();
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest goes on without any daemon at the source');
  await rig.source.start();
  await endsAborted(t, rig);
  await movesNow(t, rig);
});

for (const { name, reach } of phases.slice(1)) {
  void t.test(`source daemon asked to end, guard ${name}`, async (t) => {
    const rig = await startRig(t);
    await reach(rig);
    t.same(await rig.source.stop(), { code: 0, signal: null }, 'it ends in good order');
    t.same(guardPids(rig), [], 'and its guard with it');
    t.same(await findStrayGuests(rig, 'source'), [], 'the guest goes on at the source');
    await rig.source.start();
    await endsAborted(t, rig);
    await movesNow(t, rig);
  });
}

for (const name of ['commit', 'running'] as const) {
  void t.test(`source daemon asked to end after the commit, ${name} held`, async (t) => {
    const rig = await startRig(t);
    await reachMessage(rig, name);
    const written = rig.workload.operationCountOf('source');
    t.same(await rig.source.stop(), { code: 0, signal: null }, 'it ends in good order');
    t.same(guardPids(rig), [], 'and its guard with it');
    t.equal(processState(rig.guest.pid), 'T', 'the guest stays stopped at the source');
    await rig.source.start();
    await completes(t, rig, written);
  });
}

void t.test('destination daemon asked to end while prepared', async (t) => {
  const rig = await startRig(t);
  await reachMessage(rig, 'ready');
  t.same(await rig.destination.stop(), { code: 0, signal: null }, 'it ends in good order');
  t.equal((await rig.source.api.untilOver()).status, 'failed');
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest goes on at the source');
  await rig.destination.start();
  await endsAborted(t, rig);
  await movesNow(t, rig);
});

void t.test('destination daemon asked to end after the commit', async (t) => {
  const rig = await startRig(t);
  await reachMessage(rig, 'commit');
  const written = rig.workload.operationCountOf('source');
  t.same(await rig.destination.stop(), { code: 0, signal: null }, 'it ends in good order');
  t.same(runningGuests(rig), [], 'a prepared guest waits for the next life of its daemon');
  await rig.destination.start();
  await completes(t, rig, written);
});

async function killGuard(rig: Rig): Promise<void> {
  const [pid, ...more] = guardPids(rig);
  if (pid === undefined || more.length > 0) throw new Error(`guards: ${guardPids(rig).join(', ') || 'none'}`);
  signalIfThere(pid, 'SIGKILL');
  await untilGone(pid);
}
