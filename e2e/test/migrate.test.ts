/** A guest that never stops writing moves, with one stream and with three, and every proof that there is agrees. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import t from 'tap';
import { type MigrateRequest, processState } from '@pageferry/scripts/harness';
import { Rig } from '../src/rig.ts';
import { WriteSamples } from '../src/write-samples.ts';

const MIB = 2 ** 20;
/** Rounds between the bulk stage and the pause. */
const ROUND_COUNT = 2;

for (const streamCount of [1, 3]) {
  void t.test(`${streamCount} data connections`, async (t) => {
    const rig = await Rig.start({ seed: 40 + streamCount, sizeBytes: 32 * MIB });
    t.teardown(() => rig.end());
    const samples = new WriteSamples(rig.workload.logPath);
    t.teardown(() => samples.end());
    await startWithWritesInEveryRound(rig, {
      'multifd-channels': streamCount,
      // The bulk stage takes about a second.
      'max-bandwidth': 24 * MIB,
      'min-rounds': ROUND_COUNT,
      'max-rounds': ROUND_COUNT,
      'on-no-convergence': 'switchover',
    });
    const status = await rig.untilMoved();
    t.ok(samples.lastSecond() > 0, 'the guest wrote in the last second before the pause');

    const { pageferry } = status;
    t.same(
      [...pageferry.verified].toSorted(),
      ['destination-reread', 'sent-equals-applied', 'source-rescanned'],
      'everything that can be proven was proven',
    );
    t.equal(rig.workload.verdict, 'identical', 'cmp finds the images identical at the handover');
    t.equal(processState(rig.guest.pid), 'T', 'the guest at the source stays stopped');
    const later = pageferry.rounds.slice(1);
    t.equal(later.length, ROUND_COUNT + 1);
    t.equal(later.at(-1)?.final, true, 'the last round was after the pause');
    for (const round of later) {
      const changed = round.normal + round.duplicate + round['xbzrle-pages'];
      t.ok(changed > 0, `round ${round.round} sent what the guest had written`);
    }
    await rig.workload.untilItWrites();
    t.same(await rig.findProblems(), [], 'the oracle finds nothing wrong');
  });
}

void t.test('a byte that changes on its way is found, located and mended', async (t) => {
  const rig = await Rig.start({ seed: 50, sizeBytes: 8 * MIB, zeroShare: 0 });
  t.teardown(() => rig.end());
  const flip = rig.proxy.flipNextPage();
  await rig.migrate();
  await flip.arrived;
  const { pageferry } = await rig.untilMoved();
  t.match(pageferry.repairs, [{ round: 1, block: 'pc.ram', pages: 1 }], 'one page, in the round after it');
  t.same(await rig.findProblems(), [], 'the oracle finds nothing wrong');
});

void t.test("bytes that change in the destination's file are found, located and mended", async (t) => {
  const rig = await Rig.start({
    seed: 51,
    sizeBytes: 8 * MIB,
    zeroShare: 0,
    workload: { program: 'random' },
  });
  t.teardown(() => rig.end());
  const bulkEnd = rig.proxy.hold('round-result');
  // The audit reads an extent back when a page of it has come, and the guest writes everywhere.
  await rig.migrate({ parameters: { 'min-rounds': 8, 'downtime-limit': 10_000 } });
  await bulkEnd.arrived;
  for (let page = 100; page < 108; page += 1) changeByte(rig.destinationImage, page * 4096 + 7);
  await rig.workload.untilItWrites();
  bulkEnd.release();
  const { pageferry } = await rig.untilMoved();
  t.match(pageferry.repairs?.[0], { block: 'pc.ram' });
  t.ok((pageferry.repairs?.[0]?.['first-page'] ?? 0) >= 100, 'where it was changed');
  t.ok((pageferry.repairs?.[0]?.pages ?? 0) <= 8, 'and nothing else is sent for it');
  const there = await rig.destination.api.status();
  t.ok((there.pageferry.verification?.['audit-differing'] ?? 0) > 0, 'it was the audit that found it');
  t.same(await rig.findProblems(), [], 'the oracle finds nothing wrong');
});

void t.test('the outside oracle finds a byte that changes behind the daemons', async (t) => {
  const rig = await Rig.start({ seed: 60, sizeBytes: 8 * MIB, zeroShare: 0 });
  t.teardown(() => rig.end());
  const commit = rig.proxy.hold('commit');
  await rig.migrate();
  await commit.arrived;
  changeByte(rig.destinationImage, 8 * MIB - 1);
  commit.release();
  t.equal((await rig.source.api.untilOver()).status, 'completed');
  await t.rejects(rig.workload.untilItWritesAtDestination(), /page 2047/, 'the guest does not go on');
  const [comparison, ...problems] = await rig.findProblems();
  t.match(comparison, /cmp at the handover: .* differ:.* 8388608/);
  t.match(problems.join('; '), /page 2047: .*differs at byte 4095/);
});

function changeByte(path: string, offset: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, offset);
  writeSync(file, Buffer.of(byte.readUInt8() ^ 1), 0, 1, offset);
  closeSync(file);
}

/** Holds the end of each round before the pause until the guest has written: the next round finds that, the final one too. */
async function startWithWritesInEveryRound(
  rig: Rig,
  parameters: MigrateRequest['parameters'],
): Promise<void> {
  let hold = rig.proxy.hold('round-end');
  await rig.migrate({ parameters });
  for (let round = 0; round <= ROUND_COUNT; round += 1) {
    await hold.arrived;
    const held = hold;
    if (round < ROUND_COUNT) hold = rig.proxy.hold('round-end');
    await rig.workload.untilItWrites();
    held.release();
  }
}
