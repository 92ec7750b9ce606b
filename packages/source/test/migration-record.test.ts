import { describeProblem } from '@pageferry/protocol';
import t from 'tap';
import { MigrationRecord } from '../src/migration-record.ts';

void t.test('phases are timed, whatever came of them', async (t) => {
  const record = new MigrationRecord();
  t.equal(record.phase, 'connecting');
  t.equal(await record.timed('setup', async () => record.phase), 'setup');
  await t.rejects(
    record.timed('bulk', () => Promise.reject(new Error('lost'))),
    /lost/,
  );
  t.match(record.phases, [
    { name: 'setup', ms: Number },
    { name: 'bulk', ms: Number },
  ]);
  t.equal(record.phase, 'bulk', 'it failed there');
});

void t.test('the downtime is of the attempt that moved the guest', (t) => {
  const record = new MigrationRecord();
  record.setUp();
  record.paused();
  record.deviceState = { bytes: 1, 'save-ms': 1 };
  record.verified.push('source-rescanned');
  record.startAttempt();
  record.running();
  const { downtimeMs, deviceState, verified } = record;
  t.same(
    { downtimeMs, deviceState, verified },
    { downtimeMs: undefined, deviceState: undefined, verified: [] },
  );
  record.paused();
  record.running();
  const totalMs = record.completed();
  t.match(record, { outcome: 'completed', phase: 'completed', problem: undefined });
  t.ok((record.downtimeMs ?? -1) >= 0);
  t.equal(totalMs, (record.endedMs ?? 0) - record.startedMs);
  t.end();
});

void t.test('what it failed of', (t) => {
  const record = new MigrationRecord();
  const problem = describeProblem('link-lost', 'why');
  record.ended('failed', problem);
  t.match(record, { outcome: 'failed', phase: 'failed', problem, downtimeMs: undefined });
  t.type(record.endedMs, 'number');
  t.end();
});
