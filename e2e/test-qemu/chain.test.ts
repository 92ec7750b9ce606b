/** A running guest moves there, back and there again, and neither it nor cmp nor its console sees anything of it. */
import t from 'tap';
import { QemuRig } from '../src/qemu/qemu-rig.ts';

const MOVES = 3;

void t.test('three moves in a row', async (t) => {
  const rig = await QemuRig.start();
  t.teardown(() => rig.end());
  for (let move = 1; move <= MOVES; move += 1) {
    await rig.pair.untilVerifiedAt(rig.place);
    await rig.migrate();
    const { status, verdict, pauseMs, comparisonMs } = await rig.untilMoved();
    t.comment(
      `move ${move} to ${rig.place}: ${pauseMs.toFixed(0)} ms without a number, besides ${comparisonMs.toFixed(0)} ms ` +
        `of comparing; ${JSON.stringify(status.pageferry.phases)}`,
    );
    t.equal(verdict, 'identical', 'cmp finds the images identical before the guest goes on');
    t.same(rig.findProblems(), [], 'the console has neither hole nor repeat, memory and disk verify');
    await rig.untilOtherIsGone();
    t.same(await rig.findStrays(), [], `the guest runs at ${rig.place} only`);
  }
});
