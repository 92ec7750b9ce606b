/**
 * The QEMU at the destination killed before it loads, after it has loaded, and after it was told to run. Up to the order
 * the guest goes on at the source; after it the guest has crashed where it was moved to, and nothing is rolled back.
 */
import { processState } from '@pageferry/scripts/harness';
import t from 'tap';
import { movesNow, startQemuRig, staysWhole } from '../../src/qemu/outcomes.ts';
import { killQemu, killQemuAt } from '../../src/qemu/strokes.ts';

void t.test('the QEMU at the destination is killed', async (t) => {
  const rig = await startQemuRig(t);

  for (const message of ['handover', 'ready'] as const) {
    await t.test(`with ${message} held`, async (t) => {
      const hold = rig.proxy.hold(message);
      await rig.migrate();
      await rig.reach(hold);
      await killQemu(rig);
      hold.release();
      await staysWhole(t, rig);
      await movesNow(t, rig);
    });
  }

  await t.test('between the order to run and its answer', async (t) => {
    const [pid = 0] = rig.pair.qemuPids(rig.place);
    const last = rig.pair.consoles[rig.place].recordings.at(-1);
    await killQemuAt(rig, 'cont');
    const source = await rig.source.api.untilOver();
    const destination = await rig.destination.api.untilOver();
    t.comment(JSON.stringify({ source, destination }));
    t.equal(source.status, 'completed', 'the guest was handed over');
    t.match(JSON.stringify(source.pageferry.warnings), /crash/, 'the source says that it crashed there');
    t.match(JSON.stringify(destination.pageferry.warnings), /crash/, 'and so does the destination');
    const lineCount = last?.lines.length;
    t.same(rig.pair.qemuPids(rig.other), [], 'nothing runs at the destination');
    t.equal(last?.lines.length, lineCount, 'and the guest at the source does not go on');
    t.equal(processState(pid), undefined, 'its QEMU there is gone, as was asked');
  });
});
