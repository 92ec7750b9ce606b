/** What a migration of a real guest must come to when something was killed: one guest, whole, and nothing in the way. */
import type { MigrationStatus } from '@pageferry/protocol';
import type { Test } from 'tap';
import { Monitor } from '@pageferry/scripts/qemu';
import { QemuRig } from './qemu-rig.ts';

/** A guest, daemons and proxies; they end with the test. */
export async function startQemuRig(t: Test): Promise<QemuRig> {
  const rig = await QemuRig.start();
  t.teardown(() => rig.end());
  return rig;
}

/** Both sides know that it came to nothing: the guest goes on where it was, whole, and nothing is left at the other place. */
export async function staysWhole(t: Test, rig: QemuRig): Promise<MigrationStatus> {
  const status = await rig.source.api.untilOver();
  t.equal(status.status, 'failed', `the source says why: ${status['error-desc']}`);
  t.equal((await rig.destination.api.untilOver()).status, 'failed', 'the destination knows it too');
  await isWhole(t, rig);
  return status;
}

/** The guest runs at its place and nowhere else, and has lost nothing. */
export async function isWhole(t: Test, rig: QemuRig): Promise<void> {
  await rig.untilOtherIsGone();
  t.same(await rig.findStrays(), [], `the guest runs at ${rig.place} only`);
  t.same(rig.findProblems(), [], 'it has lost nothing');
}

/** What was committed comes to its end: one guest, at the other place. */
export async function completes(t: Test, rig: QemuRig): Promise<void> {
  t.equal((await rig.source.api.untilOver()).status, 'completed', 'the source knows the end');
  t.equal((await rig.destination.api.untilOver()).status, 'completed', 'and so does the destination');
  await rig.arrived();
  if (rig.pair.qemuPids(rig.other).length > 0) await quitLeftOver(t, rig);
  await isWhole(t, rig);
}

/** A source's daemon that was killed after the commit leaves its QEMU as it is: paused for good, its disks given up. */
async function quitLeftOver(t: Test, rig: QemuRig): Promise<void> {
  const monitor = await Monitor.connect(rig.pair.monitor(rig.other).user);
  t.match(await monitor.execute('query-status'), { status: 'postmigrate', running: false });
  await monitor.quit();
}

/** Nothing stands in the way of the next migration. */
export async function movesNow(t: Test, rig: QemuRig): Promise<void> {
  await rig.migrate();
  await hasMoved(t, rig);
}

/** The migration under way moves the guest. */
export async function hasMoved(t: Test, rig: QemuRig): Promise<void> {
  const { verdict } = await rig.untilMoved();
  t.equal(verdict, 'identical', 'the guest has moved, images identical');
  await isWhole(t, rig);
}
