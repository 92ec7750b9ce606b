/**
 * Four failures of one running guest: its QEMU at the destination is killed while it loads, its destination has another
 * disk, its monitor is another client's, and the source's daemon is killed in the handover. Each time the guest goes on
 * and the next migration moves it. Between them a destination whose QEMU is slow to start, which is no failure.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { Monitor } from '@pageferry/scripts/qemu';
import t from 'tap';
import { hasMoved, isWhole, movesNow, startQemuRig, staysWhole } from '../src/qemu/outcomes.ts';
import { OTHER_DISK } from '../src/qemu/qemu-rig.ts';
import { destinationGuest, killQemuAt, refusesBeforeItMoves } from '../src/qemu/strokes.ts';

const HELLO_TIMEOUT_MS = 2000;

void t.test('one guest, four failures and a slow start', async (t) => {
  const rig = await startQemuRig(t);

  await t.test('the QEMU at the destination is killed while it loads', async (t) => {
    await killQemuAt(rig, 'migrate-incoming');
    await staysWhole(t, rig);
    await movesNow(t, rig);
  });

  await t.test('the QEMU at the destination takes longer to start than hello-timeout', async (t) => {
    const hold = rig.holdCommand(rig.other, 'qmp_capabilities');
    const parameters = { 'hello-timeout': HELLO_TIMEOUT_MS };
    const answer = rig.migrate({ parameters }, { parameters: { 'ping-interval': HELLO_TIMEOUT_MS / 20 } });
    await Promise.race([rig.reach(hold), answer]);
    await wait(2 * HELLO_TIMEOUT_MS);
    hold.release();
    await answer;
    await hasMoved(t, rig);
  });

  await t.test('the destination has another disk', async (t) => {
    await refusesBeforeItMoves(t, rig, { guest: destinationGuest(rig, OTHER_DISK) }, /disk/);
    await movesNow(t, rig);
  });

  await t.test('the monitor is taken by another client', async (t) => {
    const client = await Monitor.connect(rig.pair.monitor(rig.place).user);
    await refusesBeforeItMoves(t, rig, {}, /monitor/);
    client.close();
    await movesNow(t, rig);
  });

  await t.test("the source's daemon is killed in the handover", async (t) => {
    const handover = rig.proxy.hold('handover');
    await rig.migrate();
    await rig.reach(handover);
    await rig.source.kill();
    t.same(await rig.findStrays(), [], 'the guest goes on before the daemon is there again');
    await rig.source.start();
    handover.release();
    await isWhole(t, rig);
    await movesNow(t, rig);
  });
});
