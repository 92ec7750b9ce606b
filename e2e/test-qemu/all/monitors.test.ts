/** Monitors that are gone, taken or silent, and a machine of another type: one guest runs, and the next migration succeeds. */
import { signalIfThere } from '@pageferry/scripts/harness';
import { Monitor } from '@pageferry/scripts/qemu';
import { renameSync } from 'node:fs';
import t from 'tap';
import { isWhole, movesNow, startQemuRig, staysWhole } from '../../src/qemu/outcomes.ts';
import { OTHER_MACHINE } from '../../src/qemu/qemu-rig.ts';
import { destinationGuest, refusesBeforeItMoves, signalQemu } from '../../src/qemu/strokes.ts';

void t.test('monitors that do not answer', async (t) => {
  const rig = await startQemuRig(t);

  await t.test('the destination is a machine of another type', async (t) => {
    await refusesBeforeItMoves(t, rig, { guest: destinationGuest(rig, OTHER_MACHINE) }, /machine/);
    await movesNow(t, rig);
  });

  await t.test("the source's monitor is gone", async (t) => {
    const { user } = rig.pair.monitor(rig.place);
    renameSync(user, `${user}-away`);
    await refusesBeforeItMoves(t, rig, {}, /monitor/);
    renameSync(`${user}-away`, user);
    await movesNow(t, rig);
  });

  await t.test("the source's QEMU stands still when it is to pause", async (t) => {
    const hold = rig.holdCommand(rig.place, 'stop');
    await rig.migrate();
    await rig.reach(hold);
    const pids = rig.pair.qemuPids(rig.place);
    for (const pid of pids) signalIfThere(pid, 'SIGSTOP');
    hold.release();
    await rig.source.api.until('aborting', ({ pageferry: { phase } }) => phase === 'aborting');
    for (const pid of pids) signalIfThere(pid, 'SIGCONT');
    await staysWhole(t, rig);
    await movesNow(t, rig);
  });

  await t.test("the destination's QEMU stands still when it is to load", async (t) => {
    const hold = rig.holdCommand(rig.other, 'migrate-incoming');
    await rig.migrate();
    await rig.reach(hold);
    signalQemu(rig, 'SIGSTOP');
    hold.release();
    await staysWhole(t, rig);
    await movesNow(t, rig);
  });

  await t.test("the operator's own QEMU at the destination, its monitor taken at first", async (t) => {
    await rig.pair.start(rig.other, true);
    const client = await Monitor.connect(rig.pair.monitor(rig.other).user);
    const guest = { type: 'qemu', qmp: rig.pair.monitor(rig.other).user } as const;
    await t.rejects(rig.arm({ guest }), /monitor/, 'POST /incoming says so');
    client.close();
    await rig.migrate({}, { guest });
    const { verdict } = await rig.untilMoved();
    t.equal(verdict, 'identical');
    await isWhole(t, rig);
    await movesNow(t, rig);
  });
});
