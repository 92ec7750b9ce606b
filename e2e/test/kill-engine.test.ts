/**
 * The engine of either side, killed in every phase. Before the commit the migration fails with that cause, the guest
 * goes on at the source and nowhere else, and the next migration succeeds; after it nobody needs an engine.
 */
import { problemType, type Phase } from '@pageferry/protocol';
import { type Daemon, signalIfThere, untilGone } from '@pageferry/scripts/harness';
import t from 'tap';
import {
  reachBulk,
  reachEndOfFinalRound,
  reachLaterRound,
  reachMessage,
  reachStartOfFinalRound,
} from '../src/reach.ts';
import { Rig } from '../src/rig.ts';
import { findStrayGuests, untilNoGuestAtDestination } from '../src/whereabouts.ts';

const SIZE_BYTES = 8 * 2 ** 20;

interface Row {
  readonly name: string;
  readonly side: 'source' | 'destination';
  /** Of that side. */
  readonly phase: Phase;
  readonly reach: (rig: Rig) => Promise<unknown>;
}

/** The destination ends its engine itself before it prepares the guest, so there is no row for that. */
const rows: readonly Row[] = [
  { name: 'the bulk stage', side: 'source', phase: 'bulk', reach: reachBulk },
  { name: 'the bulk stage', side: 'destination', phase: 'receiving', reach: reachBulk },
  { name: 'a later round', side: 'source', phase: 'rounds', reach: reachLaterRound },
  { name: 'a later round', side: 'destination', phase: 'receiving', reach: reachLaterRound },
  { name: 'the final round', side: 'source', phase: 'final-round', reach: reachStartOfFinalRound },
  { name: 'the final round', side: 'destination', phase: 'receiving', reach: reachEndOfFinalRound },
  { name: 'the handover', side: 'source', phase: 'handover', reach: (rig) => reachMessage(rig, 'ready') },
];

for (const { name, side, phase, reach } of rows) {
  void t.test(`engine of the ${side} killed in ${name}`, async (t) => {
    const rig = await Rig.start({ sizeBytes: SIZE_BYTES });
    t.teardown(() => rig.end());
    await reach(rig);
    t.equal((await rig[side].api.status()).pageferry.phase, phase, 'the phase is reached');

    await killEngine(rig[side]);
    const status = await rig.source.api.untilOver();
    t.equal(status.status, 'failed');
    const { type, peer, retryable } = status.pageferry.problem ?? {};
    t.same({ type, peer, retryable }, { type: problemType('engine-died'), peer: side, retryable: true });
    t.match(status['error-desc'], /SIGKILL/, 'the cause is named');
    t.equal(status.pageferry.guest?.state, 'running');
    t.same(await findStrayGuests(rig, 'source'), [], 'the guest runs at the source only');

    const { status: there } = await rig.destination.api.untilOver();
    if (side === 'destination') t.equal(there, 'failed', 'the destination has failed, and was not cancelled');
    await untilNoGuestAtDestination(rig);
    await rig.migrate();
    await rig.untilMoved();
    t.same(await findStrayGuests(rig, 'destination'), [], 'and then at the destination only');
    t.same(await rig.findProblems(), [], 'the next migration succeeds');
  });
}

for (const message of ['commit', 'running'] as const) {
  void t.test(`engine of the source killed after the commit, ${message} held`, async (t) => {
    const rig = await Rig.start({ sizeBytes: SIZE_BYTES });
    t.teardown(() => rig.end());
    const hold = await reachMessage(rig, message);
    await killEngine(rig.source);
    hold.release();
    await rig.untilMoved();
    t.same(await findStrayGuests(rig, 'destination'), [], 'the guest runs at the destination only');
    t.same(await rig.findProblems(), []);
  });
}

async function killEngine(daemon: Daemon): Promise<void> {
  const { pageferry } = await daemon.api.status();
  if (pageferry.engine === undefined) throw new Error('the status names no engine');
  signalIfThere(pageferry.engine.pid, 'SIGKILL');
  await untilGone(pageferry.engine.pid);
}
