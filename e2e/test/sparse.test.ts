/** An image of almost nothing but holes moves: holes of whole extents, which are longer than a batch of data. */
import t from 'tap';
import { Rig } from '../src/rig.ts';

const MIB = 2 ** 20;

void t.test('a sparse image', async (t) => {
  const rig = await Rig.start({ seed: 60, sizeBytes: 64 * MIB, zeroShare: 0.999 });
  t.teardown(() => rig.end());
  await rig.migrate();
  const status = await rig.untilMoved();
  t.equal(rig.workload.verdict, 'identical', 'cmp finds the images identical at the handover');
  const [bulk] = status.pageferry.rounds;
  t.ok((bulk?.duplicate ?? 0) > (bulk?.normal ?? 0), 'most pages are zero');
  t.same(await rig.findProblems(), [], 'the oracle finds nothing wrong');
});
