/**
 * Daemons killed before the commit: the guest goes on at the source without anybody's help, what the destination
 * prepared is dead once both are there again, and the next migration succeeds.
 */
import type { MigrationStatus } from '@pageferry/protocol';
import t from 'tap';
import { reachBulk, reachMessage, reachPreSwitchover } from '../src/reach.ts';
import type { Rig } from '../src/rig.ts';
import { findStrayGuests } from '../src/whereabouts.ts';
import { endsAborted, movesNow, startRig } from './kill/outcomes.ts';

type Side = 'source' | 'destination';

interface Row {
  readonly name: string;
  readonly reach: (rig: Rig) => Promise<unknown>;
  readonly killed: readonly (readonly Side[])[];
}

const rows: readonly Row[] = [
  { name: 'in the bulk stage', reach: reachBulk, killed: [['source'], ['destination']] },
  { name: 'in pre-switchover', reach: reachPreSwitchover, killed: [['source'], ['source', 'destination']] },
  { name: 'with the handover held', reach: (rig) => reachMessage(rig, 'handover'), killed: [['source']] },
  {
    name: 'with ready held',
    reach: (rig) => reachMessage(rig, 'ready'),
    killed: [['source'], ['destination'], ['source', 'destination']],
  },
];

for (const { name, reach, killed } of rows) {
  for (const sides of killed) {
    void t.test(`${sides.join(' and ')} killed ${name}`, async (t) => {
      const rig = await startRig(t);
      await reach(rig);
      await Promise.all(sides.map((side) => rig[side].kill()));
      if (!sides.includes('source')) t.equal((await rig.source.api.untilOver()).status, 'failed');
      t.same(await findStrayGuests(rig, 'source'), [], 'the guest goes on at the source');
      if (name === 'with ready held' && !sides.includes('destination')) {
        const waits = await rig.destination.api.until('the loss', isAwaitingSource);
        t.ok(waits, 'the destination waits for a word, a lost connection is none');
      }
      for (const side of sides.toReversed()) await rig[side].start();
      await endsAborted(t, rig);
      await movesNow(t, rig);
    });
  }
}

function isAwaitingSource({ pageferry }: MigrationStatus): boolean {
  return pageferry.phase === 'awaiting-source';
}
