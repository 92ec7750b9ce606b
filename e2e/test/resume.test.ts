/**
 * A migration that is interrupted before the commit goes on by itself, whatever it was: cut connections, an engine, a
 * daemon or the guard killed, in every phase. The guest runs at the source meanwhile, what was sent is not sent again,
 * and what arrives in the end is right.
 */
import { signalIfThere, untilGone } from '@pageferry/scripts/harness';
import t from 'tap';
import {
  reachBulk,
  reachEndOfFinalRound,
  reachLaterRound,
  reachMessage,
  reachPreSwitchover,
  type Reached,
} from '../src/reach.ts';
import { Rig } from '../src/rig.ts';
import { findStrayGuests, guardPids } from '../src/whereabouts.ts';

const SIZE_BYTES = 8 * 2 ** 20;
/** The held round makes the line look slow, so the pause may be long. */
const RESUMABLE = { 'reconnect-limit': 20, 'downtime-limit': 10_000 };

type Interrupt = (rig: Rig) => unknown;

const cut: Interrupt = (rig) => rig.proxy.cut();
const killSourceEngine: Interrupt = (rig) => killEngine(rig, 'source');
const killDestinationEngine: Interrupt = (rig) => killEngine(rig, 'destination');
const killGuard: Interrupt = async (rig) => {
  for (const pid of guardPids(rig)) await kill(pid);
};
const restartSource: Interrupt = async (rig) => {
  await rig.source.kill();
  await rig.source.start();
};
const restartDestination: Interrupt = async (rig) => {
  await rig.destination.kill();
  await rig.destination.start();
};
const restartBoth: Interrupt = async (rig) => {
  await Promise.all([rig.source.kill(), rig.destination.kill()]);
  await Promise.all([rig.source.start(), rig.destination.start()]);
};

const phases: Readonly<Record<string, (rig: Rig) => Promise<Reached>>> = {
  'the bulk stage': (rig) => reachBulk(rig, RESUMABLE),
  'a later round': (rig) => reachLaterRound(rig, RESUMABLE),
  'pre-switchover': (rig) => reachPreSwitchover(rig, RESUMABLE),
  'the final round': (rig) => reachEndOfFinalRound(rig, RESUMABLE),
  'the handover': (rig) => reachMessage(rig, 'ready', RESUMABLE),
};

const rows: readonly (readonly [phase: keyof typeof phases, what: string, interrupt: Interrupt])[] = [
  ['the bulk stage', 'connections cut', cut],
  ['the bulk stage', 'engine of the source killed', killSourceEngine],
  ['the bulk stage', 'engine of the destination killed', killDestinationEngine],
  ['the bulk stage', 'source daemon killed', restartSource],
  ['the bulk stage', 'destination daemon killed', restartDestination],
  ['a later round', 'connections cut', cut],
  ['a later round', 'engine of the destination killed', killDestinationEngine],
  ['a later round', 'both daemons killed', restartBoth],
  ['pre-switchover', 'guard killed', killGuard],
  ['pre-switchover', 'source daemon killed', restartSource],
  ['the final round', 'connections cut', cut],
  ['the final round', 'destination daemon killed', restartDestination],
  ['the handover', 'connections cut', cut],
  ['the handover', 'source daemon killed', restartSource],
  ['the handover', 'destination daemon killed', restartDestination],
];

for (const [phase, what, interrupt] of rows) {
  void t.test(`${what} in ${phase}`, async (t) => {
    const rig = await Rig.start({ sizeBytes: SIZE_BYTES });
    t.teardown(() => rig.end());
    await phases[phase]?.(rig);
    const { coverage } = (await rig.destination.api.status()).pageferry;
    await interrupt(rig);
    await rig.source.api.until('another attempt', ({ pageferry }) => (pageferry.epoch ?? 0) > 1);
    const inAnother = (await rig.destination.api.status()).pageferry;
    t.not(inAnother.image, 'untouched', 'the destination knows that it has written');
    if (interrupt !== restartDestination && interrupt !== restartBoth)
      t.ok(inAnother.coverage >= coverage, 'and its coverage does not go back');
    await rig.source.api.setParameters({ 'max-bandwidth': 0 });
    await leavePreSwitchover(rig, phase);
    const { pageferry } = await rig.untilMoved();
    t.ok((pageferry.interruptions?.length ?? 0) >= 1, 'the status says what was survived');
    t.same(await findStrayGuests(rig, 'destination'), [], 'the guest runs at the destination only');
    t.same(await rig.findProblems(), [], 'and its memory is right');
  });
}

void t.test('what cannot pass is the end at once', async (t) => {
  const rig = await Rig.start({ sizeBytes: SIZE_BYTES });
  t.teardown(() => rig.end());
  await reachBulk(rig, RESUMABLE);
  rig.proxy.isRefusing = true;
  rig.proxy.cut();
  await rig.source.api.until('the interruption', ({ pageferry }) => pageferry.phase === 'interrupted');
  t.equal((await rig.source.api.status()).status, 'active');
  await rig.destination.api.until('its own', ({ pageferry }) => pageferry.phase === 'interrupted');
  await rig.source.api.cancel();
  t.equal((await rig.source.api.untilOver()).status, 'cancelled', 'cancelled while it waits');
  t.same(await findStrayGuests(rig, 'source'), []);
  rig.proxy.isRefusing = false;
  t.equal((await rig.destination.api.untilOver()).status, 'cancelled', 'the destination is told');
  await rig.migrate();
  await rig.untilMoved();
  t.same(await rig.findProblems(), []);
});

void t.test('the attempts are counted', async (t) => {
  const rig = await Rig.start({ sizeBytes: SIZE_BYTES });
  t.teardown(() => rig.end());
  await reachBulk(rig, { 'reconnect-limit': 2 });
  rig.proxy.isRefusing = true;
  rig.proxy.cut();
  const status = await rig.source.api.untilOver();
  t.equal(status.status, 'failed');
  t.equal(status.pageferry.interruptions?.length, 2, 'two attempts followed the first one');
  t.same(await findStrayGuests(rig, 'source'), []);
  const { pageferry } = await rig.destination.api.status();
  t.equal(pageferry.phase, 'interrupted', 'the destination still waits');
  await rig.destination.api.abort(pageferry['migration-id']);
  t.equal((await rig.destination.api.status()).status, 'cancelled', 'until its operator says otherwise');
  rig.proxy.isRefusing = false;
  await rig.migrate();
  await rig.untilMoved();
  t.same(await rig.findProblems(), []);
});

/** With pause-before-switchover every attempt waits there. */
async function leavePreSwitchover(rig: Rig, phase: string): Promise<void> {
  if (phase !== 'pre-switchover' && phase !== 'the final round') return;
  await rig.source.api.until('pre-switchover', ({ status }) => status === 'pre-switchover');
  await rig.source.api.continue();
}

async function killEngine(rig: Rig, side: 'source' | 'destination'): Promise<void> {
  const { pageferry } = await rig[side].api.status();
  if (pageferry.engine === undefined) throw new Error('the status names no engine');
  await kill(pageferry.engine.pid);
}

async function kill(pid: number): Promise<void> {
  signalIfThere(pid, 'SIGKILL');
  await untilGone(pid);
}
