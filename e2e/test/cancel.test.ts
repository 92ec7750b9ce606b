/**
 * POST /cancel in every phase, which the proxy makes last as long as it takes. Before the commit the guest goes on at
 * the source and nowhere else, and the next migration succeeds; after it the migration completes.
 */
import t, { type Test } from 'tap';
import type { Phase } from '@pageferry/protocol';
import { eventually, type MigrateRequest, processesNaming, processState } from '@pageferry/scripts/harness';
import type { MessageName } from '../src/hold.ts';
import { Rig } from '../src/rig.ts';

const MIB = 2 ** 20;
const PROBLEM = 'urn:pageferry:problem:';

/** `reach` starts a migration and brings it into `phase`; what it gives lets go of what it held. */
interface Row {
  readonly name: string;
  readonly phase: Phase | readonly Phase[];
  readonly reach: (rig: Rig) => Promise<() => void>;
}

const rows: readonly Row[] = [
  {
    name: 'the bulk stage, pages on their way',
    phase: 'bulk',
    reach: async (rig) => {
      await rig.migrate({ parameters: { 'max-bandwidth': MIB } });
      await rig.source.api.until('some coverage', ({ pageferry }) => pageferry.coverage > 0);
      return () => undefined;
    },
  },
  { name: 'the bulk stage, its result held', phase: 'bulk', reach: holding('round-result') },
  {
    name: 'a later round, its end held',
    phase: 'rounds',
    reach: async (rig) => {
      const first = rig.proxy.hold('round-end');
      await rig.migrate();
      await first.arrived;
      const second = rig.proxy.hold('round-end');
      first.release();
      await second.arrived;
      return () => second.release();
    },
  },
  {
    name: 'pre-switchover',
    phase: 'pre-switchover',
    reach: async (rig) => {
      await untilPreSwitchover(rig);
      return () => undefined;
    },
  },
  {
    // The source offers without waiting for what is on its way, so it may be a phase further.
    name: 'the final round, its end held',
    phase: ['final-round', 'handover'],
    reach: async (rig) => {
      await untilPreSwitchover(rig);
      const hold = rig.proxy.hold('stream-round-end');
      await rig.source.api.continue();
      await hold.arrived;
      return () => hold.release();
    },
  },
  { name: 'the handover, which is held', phase: 'handover', reach: holding('handover') },
  { name: 'the handover, ready held', phase: 'handover', reach: holding('ready') },
];

for (const row of rows) {
  void t.test(`cancelled in ${row.name}`, async (t) => {
    const rig = await Rig.start({ sizeBytes: 8 * MIB });
    t.teardown(() => rig.end());
    const letGo = await row.reach(rig);
    const { phase } = (await rig.source.api.status()).pageferry;
    t.ok([row.phase].flat().includes(phase), `the phase is reached: ${phase}`);

    await rig.source.api.cancel();
    const status = await rig.source.api.untilOver();
    t.equal(status.status, 'cancelled');
    t.equal(status.pageferry.problem?.type, `${PROBLEM}cancelled`);
    t.equal(status.pageferry.guest?.state, 'running');
    await goesOnAtSource(t, rig);
    letGo();
    await untilNothingAtDestination(rig);
    await goesOnAtSource(t, rig);

    await rig.migrate();
    await rig.untilMoved();
    t.same(await rig.findProblems(), [], 'the next migration succeeds');
  });
}

for (const name of ['hello', 'welcome'] as const) {
  void t.test(`cancelled while the destination is asked, ${name} held`, async (t) => {
    const rig = await Rig.start({ sizeBytes: 8 * MIB });
    t.teardown(() => rig.end());
    const { token } = await rig.arm();
    const hold = rig.proxy.hold(name);
    const answer = rig.source.api.refusal('POST', '/migrate', rig.migrateRequest(token));
    await hold.arrived;
    await rig.source.api.cancel();
    const { type, status } = await answer;
    t.same({ type, status }, { type: `${PROBLEM}cancelled`, status: 409 }, 'the request is answered');
    t.equal((await rig.source.api.status()).status, 'none', 'no migration was accepted');
    await goesOnAtSource(t, rig);
    if (name === 'hello') {
      hold.discard();
      t.equal(
        (await rig.destination.api.status()).pageferry.phase,
        'armed',
        'the destination was not reached',
      );
      await rig.source.api.migrate(rig.migrateRequest(token));
    } else {
      hold.release();
      await untilNothingAtDestination(rig);
      await rig.migrate();
    }
    await rig.untilMoved();
    t.same(await rig.findProblems(), [], 'the next migration succeeds');
  });
}

for (const name of ['commit', 'running'] as const) {
  void t.test(`not cancelled after the commit, ${name} held`, async (t) => {
    const rig = await Rig.start({ sizeBytes: 8 * MIB });
    t.teardown(() => rig.end());
    const letGo = await holding(name)(rig);
    const { type, status, detail } = await rig.source.api.refusal('POST', '/cancel');
    t.same({ type, status }, { type: `${PROBLEM}past-point-of-no-return`, status: 409 });
    t.match(detail, /may be running/);
    t.equal(processState(rig.guest.pid), 'T', 'the guest at the source stays stopped');
    letGo();
    await rig.untilMoved();
    t.equal(processState(rig.guest.pid), 'T', 'and after the end');
    t.same(await rig.findProblems(), [], 'the migration completes');
  });
}

void t.test('POST /continue leaves pre-switchover, and is refused elsewhere', async (t) => {
  const rig = await Rig.start({ sizeBytes: 8 * MIB });
  t.teardown(() => rig.end());
  await refusesContinue(t, rig);
  await untilPreSwitchover(rig);
  t.equal(processState(rig.guest.pid), 'T', 'the guest is paused in pre-switchover');
  const written = rig.workload.operationCount();
  await rig.source.api.continue();
  await rig.untilMoved();
  t.equal(rig.workload.operationCountOf('source'), written, 'it wrote nothing after that at the source');
  await refusesContinue(t, rig);
  t.same(await rig.findProblems(), []);
});

/** Starts a migration that stops at a message. */
function holding(name: MessageName): Row['reach'] {
  return async (rig) => {
    const hold = rig.proxy.hold(name);
    await rig.migrate();
    await hold.arrived;
    return () => hold.release();
  };
}

async function untilPreSwitchover(rig: Rig): Promise<void> {
  const request: Partial<MigrateRequest> = { capabilities: { 'pause-before-switchover': true } };
  await rig.migrate(request);
  await rig.source.api.until('pre-switchover', ({ status }) => status === 'pre-switchover');
}

/** The one guest that there is writes at the source. */
async function goesOnAtSource(t: Test, rig: Rig): Promise<void> {
  t.not(processState(rig.guest.pid), 'T', 'the guest is not stopped');
  await rig.workload.untilItWrites();
  t.equal(rig.workload.operationCountOf('destination'), 0, 'no guest ran at the destination');
}

/** The destination has given up, and the guest that it may have prepared is gone. */
async function untilNothingAtDestination(rig: Rig): Promise<void> {
  await rig.destination.api.untilOver();
  await eventually('the end of what the destination prepared', () => {
    const prepared = processesNaming(rig.destinationImage).filter((pid) => pid !== rig.destination.pid);
    return prepared.length === 0 ? true : undefined;
  });
}

async function refusesContinue(t: Test, rig: Rig): Promise<void> {
  const { type, status } = await rig.source.api.refusal('POST', '/continue');
  t.same({ type, status }, { type: `${PROBLEM}not-in-pre-switchover`, status: 409 });
}
