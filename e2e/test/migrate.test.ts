/** A guest that never stops writing moves, with one stream and with three, and every proof that there is agrees. */
import t from 'tap';
import { processState } from '../src/processes.ts';
import { Rig } from '../src/rig.ts';
import { WriteSamples } from '../src/write-samples.ts';

const MIB = 2 ** 20;

for (const streamCount of [1, 3]) {
  void t.test(`${streamCount} data connections`, async (t) => {
    const rig = await Rig.start({ seed: 40 + streamCount, sizeBytes: 32 * MIB });
    t.teardown(() => rig.end());
    const samples = new WriteSamples(rig.workload.logPath);
    // The cap makes the rounds long enough for the guest to write in each of them.
    await rig.migrate({ parameters: { 'multifd-channels': streamCount, 'max-bandwidth': 24 * MIB } });
    const status = await rig.untilMoved();
    t.ok(samples.stop() > 0, 'the guest wrote in the last second before the pause');

    const { pageferry } = status;
    t.same(
      [...pageferry.verified].toSorted(),
      ['destination-reread', 'sent-equals-applied', 'source-rescanned'],
      'everything that can be proven was proven',
    );
    t.equal(rig.workload.verdict, 'identical', 'cmp finds the images identical at the handover');
    t.equal(processState(rig.guest.pid), 'T', 'the guest at the source stays stopped');
    const final = pageferry.rounds.at(-1);
    t.equal(final?.final, true, 'the last round was after the pause');
    const changed = (final?.normal ?? 0) + (final?.duplicate ?? 0) + (final?.['xbzrle-pages'] ?? 0);
    t.ok(changed > 0, 'the guest changed pages between the last round and the pause');
    const later = pageferry.rounds.slice(1, -1);
    t.ok(
      later.some((round) => round['xbzrle-pages'] + round['cache-miss'] > 0),
      'rounds before it sent what it wrote',
    );
    await rig.workload.untilItWrites();
    t.same(await rig.findProblems(), [], 'the oracle finds nothing wrong');
  });
}
