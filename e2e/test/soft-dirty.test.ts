/**
 * The soft-dirty tracker where this machine has the bits and the right to them; where it has not, that it says so and
 * scans. Either way the guest moves whole. The bits themselves are tested in a guest that has them (src/nested).
 */
import t from 'tap';
import { Rig } from '../src/rig.ts';

const MIB = 2 ** 20;
const PARAMETERS = { 'min-rounds': 2, 'max-rounds': 2, 'on-no-convergence': 'switchover' } as const;

for (const finalScan of [true, false]) {
  void t.test(`a guest that maps its memory, final-scan ${finalScan}`, async (t) => {
    const rig = await Rig.start({ seed: 70, sizeBytes: 16 * MIB, workload: { isMapped: true } });
    t.teardown(() => rig.end());
    const tracker = { type: 'soft-dirty', 'final-scan': finalScan } as const;
    const { warnings } = await rig.migrate({ tracker, parameters: PARAMETERS });
    const { pageferry } = await rig.untilMoved();
    const status = pageferry.tracker;
    const isUnavailable = warnings.some(({ name }) => name === 'soft-dirty-unavailable');
    t.equal(status?.requested, 'soft-dirty');
    t.equal(status?.type, isUnavailable ? 'scan' : 'soft-dirty', status?.reason ?? 'as asked for');
    t.equal(status?.reason !== undefined, isUnavailable);
    const isScanned = pageferry.verified.includes('source-rescanned');
    t.equal(status?.['final-scan'], isScanned, 'what was done is what is said');
    if (finalScan || isUnavailable) t.ok(isScanned);
    t.match(
      pageferry.rounds.map((round) => round.tracker),
      ['scan', status?.type, status?.type, isScanned ? 'scan' : 'soft-dirty'],
    );
    t.same(await rig.findProblems(), [], 'the oracle finds nothing wrong');
  });
}

void t.test('a guest that only writes to its file has no bits', async (t) => {
  const rig = await Rig.start({ seed: 71, sizeBytes: 8 * MIB });
  t.teardown(() => rig.end());
  const { warnings } = await rig.migrate({ tracker: { type: 'soft-dirty', 'final-scan': false } });
  t.ok(warnings.some(({ name }) => name === 'soft-dirty-unavailable'));
  const { pageferry } = await rig.untilMoved();
  t.match(pageferry.tracker, { type: 'scan', reason: /CONFIG_MEM_SOFT_DIRTY|no process maps/ });
  t.ok(pageferry.verified.includes('source-rescanned'));
  t.same(await rig.findProblems(), [], 'the oracle finds nothing wrong');
});
