/** Twenty migrations of the same running guest, there and back: it never loses a number, a page or a sector. */
import t from 'tap';
import { QemuRig, SMALL_GUEST } from '../../src/qemu/qemu-rig.ts';

const MOVES = 20;

void t.test('twenty moves', async (t) => {
  const rig = await QemuRig.start({ ...SMALL_GUEST, isDocs: true });
  t.teardown(() => rig.end());
  for (let move = 1; move <= MOVES; move += 1) {
    await rig.migrate();
    const { verdict, pauseMs } = await rig.untilMoved();
    t.equal(
      verdict,
      'identical',
      `move ${move}: images identical, ${pauseMs.toFixed(0)} ms without a number`,
    );
    await rig.untilOtherIsGone();
    t.same(await rig.findStrays(), [], 'memory and disk verify, the guest runs there only');
    t.same(rig.findProblems(), [], 'neither hole nor repeat nor a bad verdict');
  }
});
