/**
 * A destination that holds an older copy of the guest: only what differs travels, whatever it is, and what is there
 * afterwards is the source's memory. Another guest's copy is refused.
 */
import { closeSync, copyFileSync, openSync, writeSync } from 'node:fs';
import t from 'tap';
import { Rig, BLOCK_ID, GUEST_COMMAND } from '../src/rig.ts';

const MIB = 2 ** 20;
const PAGE = 4096;
const SIZE_BYTES = 32 * MIB;
const UUID = '7d7ae4f5-9f8b-4b5c-9a3e-0d2b8a1c6e11';
const OTHER_UUID = '7d7ae4f5-9f8b-4b5c-9a3e-0d2b8a1c6e12';

for (const streamCount of [1, 3]) {
  void t.test(`an older copy, ${streamCount} data connections`, async (t) => {
    const rig = await Rig.start({
      seed: 70,
      sizeBytes: SIZE_BYTES,
      workload: { program: 'random', ratePerSecond: 50 },
    });
    t.teardown(() => rig.end());
    copyFileSync(rig.sourceImage, rig.destinationImage);
    changePages(rig.destinationImage, 80);
    await rig.migrate(
      {
        guest: { type: 'process', pid: rig.guest.pid, uuid: UUID },
        parameters: { 'multifd-channels': streamCount },
      },
      { guest: { type: 'process', command: GUEST_COMMAND, uuid: UUID }, base: true },
    );
    const { pageferry } = await rig.untilMoved();
    const [bulk] = pageferry.rounds;
    const sent = (bulk?.normal ?? 0) + (bulk?.duplicate ?? 0);
    t.ok(sent >= 80, `what was changed in the copy is sent: ${sent} pages`);
    t.ok(sent * PAGE < SIZE_BYTES / 4, 'what is the same is not');
    t.equal(pageferry.repairs?.length, 0, 'nothing of that is a repair');
    t.same(await rig.findProblems(), [], 'the oracle finds nothing wrong');
  });
}

void t.test('the copy of another guest is no base', async (t) => {
  const rig = await Rig.start({ seed: 71, sizeBytes: 4 * MIB });
  t.teardown(() => rig.end());
  const { token } = await rig.arm({
    guest: { type: 'process', command: GUEST_COMMAND, uuid: UUID },
    base: true,
  });
  for (const uuid of [OTHER_UUID, undefined]) {
    const request = rig.migrateRequest(token, {
      guest: { type: 'process', pid: rig.guest.pid, ...(uuid === undefined ? {} : { uuid }) },
    });
    const problem = await rig.source.api.refusal('POST', '/migrate', request);
    t.match(problem, { peer: 'destination', type: /hello-rejected$/, detail: new RegExp(UUID) });
  }
  await rig.source.api.migrate(
    rig.migrateRequest(token, { guest: { type: 'process', pid: rig.guest.pid, uuid: UUID.toUpperCase() } }),
  );
  await rig.untilMoved();
  t.same(await rig.findProblems(), [], 'the right guest is still welcome');
});

void t.test('what a base needs', async (t) => {
  const rig = await Rig.start({ seed: 72, sizeBytes: 4 * MIB });
  t.teardown(() => rig.end());
  const blocks = [{ id: BLOCK_ID, path: rig.destinationImage, create: true }];
  const guest = { type: 'process', command: GUEST_COMMAND, uuid: UUID } as const;
  const withoutUuid = { ...rig.incomingRequest(), base: true };
  t.match(await rig.destination.api.refusal('POST', '/incoming', withoutUuid), {
    status: 400,
    errors: [{ path: 'guest.uuid' }],
  });
  const created = { ...rig.incomingRequest({ blocks, guest }), base: true };
  t.match(await rig.destination.api.refusal('POST', '/incoming', created), {
    status: 400,
    errors: [{ path: 'blocks.0.create' }],
  });
});

/** Overwrites every so many-th page. */
function changePages(path: string, count: number): void {
  const file = openSync(path, 'r+');
  const page = Buffer.alloc(PAGE, 0xa5);
  const step = Math.floor(SIZE_BYTES / PAGE / count);
  for (let index = 0; index < count; index += 1) writeSync(file, page, 0, PAGE, index * step * PAGE);
  closeSync(file);
}
