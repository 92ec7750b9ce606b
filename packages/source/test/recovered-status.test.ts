/** What a restarted source still says of the last migration. */
import type { SourceRecord } from '@pageferry/handover';
import { migrationStatus } from '@pageferry/protocol';
import t from 'tap';
import { recoveredStatus } from '../src/recovered-status.ts';

const SESSION = {
  sessionId: '0102030405064708890a0b0c0d0e0f10',
  sessionKey: '02'.repeat(16),
  address: 'tcp:127.0.0.1:7800',
  blocks: [],
  guest: { type: 'none' },
  engine: null,
};

const table: readonly (readonly [record: SourceRecord, phase: string, coverage: number])[] = [
  [{ phase: 'completed', epoch: 1, abortedEpoch: null }, 'completed', 1],
  [{ phase: 'committed', epoch: 1, abortedEpoch: null, priorRunState: 'running' }, 'committed', 1],
];

void t.test('all memory is at the destination once the guest was given away', (t) => {
  t.plan(2 * table.length);
  for (const [handover, phase, coverage] of table) {
    const status = recoveredStatus({ version: 1, session: SESSION, handover }, undefined);
    t.match(status.pageferry, { phase, coverage });
    t.ok(migrationStatus.safeParse(status).success);
  }
});
