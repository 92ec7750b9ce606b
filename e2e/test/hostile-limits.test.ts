/**
 * Daemons and engines that get no descriptor, no process, no memory: the request is refused or the migration fails, with
 * the limit named; the API answers, the guest goes on at the source, and once there is enough a migration succeeds.
 */
import { join } from 'node:path';
import { problemType } from '@pageferry/protocol';
import { RefusedError, untilGone } from '@pageferry/scripts/harness';
import t from 'tap';
import {
  asOtherUser,
  enginePidOf,
  giveToOtherUser,
  leaveMemory,
  leaveDescriptors,
  setLimit,
  whyNotOtherUser,
} from '../src/host.ts';
import { hasMoved, movesNow } from '../src/outcomes.ts';
import { Rig } from '../src/rig.ts';
import { findStrayGuests } from '../src/whereabouts.ts';

const MIB = 2 ** 20;
const SIZE_BYTES = 8 * MIB;
const ENOUGH = 1024;
/** Descriptors that a daemon is left with: for its API alone, for its images too, for nearly everything. */
const LEFT = [2, 4, 7] as const;

for (const side of ['source', 'destination'] as const) {
  void t.test(`the ${side} daemon has few descriptors left`, async (t) => {
    const rig = await Rig.start({ sizeBytes: SIZE_BYTES });
    t.teardown(() => rig.end());
    const { pid } = rig[side];
    let isMoved = false;
    for (const count of LEFT) {
      leaveDescriptors(pid, count);
      const outcome = await migrateOrRefusal(rig);
      t.ok((await rig[side].api.status()).pageferry.side, 'the API answers');
      t.equal(rig[side].pid, pid, 'the daemon is the same');
      setLimit(pid, 'nofile', ENOUGH);
      t.match(outcome, /^completed$|EMFILE|guard process|exit code|SIGKILL/, `${count} left: ${outcome}`);
      isMoved = outcome === 'completed';
      if (isMoved) break;
      t.same(await findStrayGuests(rig, 'source'), [], 'the guest runs at the source only');
      await disarm(rig);
    }
    await (isMoved ? hasMoved(t, rig) : movesNow(t, rig));
  });
}

void t.test('an engine is refused memory', async (t) => {
  const rig = await Rig.start({ sizeBytes: SIZE_BYTES });
  t.teardown(() => rig.end());
  await t.test('for its kernel', async (t) => {
    const { token } = await rig.arm();
    const hold = rig.proxy.hold('welcome');
    const answer = rig.source.api.refusal('POST', '/migrate', rig.migrateRequest(token));
    await hold.arrived;
    const engine = enginePidOf(rig.source.pid);
    if (engine === undefined) throw new Error('no engine was taken');
    leaveMemory(engine, 4 * MIB);
    hold.release();
    const { type, detail } = await answer;
    t.equal(type, problemType('engine-died'), detail);
    t.same(await findStrayGuests(rig, 'source'), [], 'the guest runs at the source only');
    await rig.destination.api.untilOver();
  });
  await t.test('for a larger cache: it stays as it is, and the migration goes on', async (t) => {
    const bulkEnd = rig.proxy.hold('round-result');
    await rig.migrate({ parameters: { 'min-rounds': 3, 'xbzrle-cache-size': 4 * MIB } });
    await bulkEnd.arrived;
    const { engine } = (await rig.source.api.status()).pageferry;
    if (engine === undefined) throw new Error('the status names no engine');
    leaveMemory(engine.pid, 256 * MIB);
    await rig.source.api.setCacheSize(1024 * MIB);
    bulkEnd.release();
    await hasMoved(t, rig);
    const { allocated } = await rig.source.api.cacheSize();
    t.ok(allocated < 1024 * MIB, `allocated: ${allocated}`);
  });
});

void t.test('no process can be started', { skip: whyNotOtherUser() }, async (t) => {
  const other = { launcher: asOtherUser() };
  const rig = await Rig.start({
    sizeBytes: SIZE_BYTES,
    ground: (directory) => ({
      source: other,
      destination: other,
      guest: other,
      made: () => {
        for (const name of ['.', 'source.ram', 'destination.ram']) giveToOtherUser(join(directory, name));
      },
    }),
  });
  t.teardown(() => rig.end());
  const { pid } = rig.source;
  setLimit(pid, 'nproc', 1, asOtherUser());
  const engine = enginePidOf(pid);
  if (engine === undefined) throw new Error('no engine waits');
  process.kill(engine, 'SIGKILL');
  await untilGone(engine);
  const outcome = await migrateOrRefusal(rig);
  t.match(outcome, /the engine could not be started: EAGAIN/);
  t.ok((await rig.source.api.status()).pageferry.side, 'the API answers');
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest runs at the source only');
  setLimit(pid, 'nproc', 10_000, asOtherUser());
  await disarm(rig);
  await movesNow(t, rig);
});

/** In words what came of a migration, or why there was none. */
async function migrateOrRefusal(rig: Rig): Promise<string> {
  try {
    await rig.migrate();
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    return error.problem.detail;
  }
  const { status, 'error-desc': reason } = await rig.source.api.untilOver();
  return reason ?? status;
}

/** A destination whose source was refused stays armed. */
async function disarm(rig: Rig): Promise<void> {
  const { status } = await rig.destination.api.status();
  if (status === 'setup') await rig.destination.api.abort();
}
