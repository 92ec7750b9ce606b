/** A guest whose memory is huge pages moves, and back: files that can be read but not written, only mapped. */
import { join } from 'node:path';
import t from 'tap';
import { mountHugePages, whyNotHugePages } from '../../src/host.ts';
import { QemuRig, SMALL_GUEST } from '../../src/qemu/qemu-rig.ts';

const MOVES = 2;

void t.test('a guest on huge pages', { skip: whyNotHugePages() }, async (t) => {
  const guest = { ...SMALL_GUEST, imageDirectory: 'huge' };
  const rig = await QemuRig.start(guest, (directory) => {
    const mount = mountHugePages(join(directory, 'huge'), 2 * guest.memoryBytes);
    return () => mount.unmount();
  });
  t.teardown(() => rig.end());
  for (let move = 1; move <= MOVES; move += 1) {
    await rig.migrate();
    const { verdict } = await rig.untilMoved();
    t.equal(verdict, 'identical', `move ${move}: images identical`);
    await rig.untilOtherIsGone();
    t.same(await rig.findStrays(), [], 'memory and disk verify');
    t.same(rig.findProblems(), []);
  }
});
