/** A running guest moves there, back and there again, and neither it nor cmp nor its console sees anything of it. */
import t from 'tap';
import { QemuRig, SMALL_GUEST } from '../src/qemu/qemu-rig.ts';

const MOVES = 3;
const MIB = 2 ** 20;
const GUEST = { ...SMALL_GUEST, memoryBytes: 512 * MIB, patternMib: 288, isDocs: true };

void t.test('three moves in a row', async (t) => {
  const rig = await QemuRig.start(GUEST);
  t.teardown(() => rig.end());
  for (let move = 1; move <= MOVES; move += 1) {
    await rig.migrate();
    const { status, verdict, pauseMs, comparisonMs } = await rig.untilMoved();
    t.comment(
      `move ${move} to ${rig.place}: ${pauseMs.toFixed(0)} ms without a number, besides ${comparisonMs.toFixed(0)} ms ` +
        `of comparing; ${JSON.stringify(status.pageferry.phases)}`,
    );
    t.equal(verdict, 'identical', 'cmp finds the images identical before the guest goes on');
    await rig.untilOtherIsGone();
    t.same(await rig.findStrays(), [], `the guest verifies itself at ${rig.place} and runs nowhere else`);
    t.same(rig.findProblems(), [], 'the console has neither hole nor repeat nor a bad verdict');
  }
});
