/**
 * A destination that was prepared and has not heard that its migration came to nothing hears it, whatever its source has
 * migrated since: it holds a stopped guest and an image for nobody.
 */
import { join } from 'node:path';
import t from 'tap';
import { Daemon } from '@pageferry/scripts/harness';
import { reachMessage } from '../src/reach.ts';
import { BLOCK_ID, type Rig } from '../src/rig.ts';
import { findStrayGuests, untilNoGuestAtDestination } from '../src/whereabouts.ts';
import { startRig } from './kill/outcomes.ts';

for (const isRestarted of [false, true]) {
  const restart = isRestarted ? ', and its daemon was started again' : '';
  void t.test(`told after another migration${restart}`, async (t) => {
    const rig = await startRig(t);
    const hold = await reachMessage(rig, 'ready');
    rig.proxy.isRefusing = true;
    rig.proxy.cut();
    hold.discard();
    t.equal((await rig.source.api.untilOver()).status, 'failed', 'the guest is the source’s again');
    await migrateElsewhere(rig);
    const { phase } = (await rig.destination.api.status()).pageferry;
    t.equal(phase, 'awaiting-source', 'the first destination has heard nothing');
    if (isRestarted) {
      await rig.source.kill();
      await rig.source.start();
    }
    rig.proxy.isRefusing = false;
    t.match((await rig.destination.api.untilOver()).status, /failed|cancelled/, 'it hears of the end');
    await untilNoGuestAtDestination(rig);
    t.same(await findStrayGuests(rig, 'source'), [], 'the guest goes on at the source');
  });
}

/** A migration to another destination, which the operator cancels: the source's journal is of that one now. */
async function migrateElsewhere(rig: Rig): Promise<void> {
  const directory = join(rig.directory, 'elsewhere');
  const elsewhere = new Daemon({ side: 'destination', directory, imageRoot: rig.directory });
  await elsewhere.start();
  const blocks = [{ id: BLOCK_ID, path: join(rig.directory, 'elsewhere.ram'), create: true }];
  const guest = { type: 'none' } as const;
  const { uri, token } = await elsewhere.api.incoming({ listen: 'tcp:127.0.0.1:0', blocks, guest });
  const capabilities = { 'pause-before-switchover': true };
  await rig.source.api.migrate({ ...rig.migrateRequest(token, { guest, capabilities }), uri });
  await rig.source.api.until('pre-switchover', ({ status }) => status === 'pre-switchover');
  await rig.source.api.cancel();
  await rig.source.api.untilOver();
  await elsewhere.stop();
}
