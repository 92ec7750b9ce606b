import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { HandoverError } from '../src/errors.ts';
import { Journal, peekSourceJournal, SESSION_MAX_BYTES, type TryLock } from '../src/journal.ts';
import type { SourceRecord } from '../src/journal-record.ts';
import { encodeSlot, JOURNAL_BYTES, SLOT_BYTES, SLOT_COUNT } from '../src/journal-slots.ts';
import { session } from './samples.ts';

const free: TryLock = () => true;
const precopy: SourceRecord = { phase: 'precopy', epoch: 1, abortedEpoch: null };
const pausing: SourceRecord = { ...precopy, phase: 'pausing', priorRunState: 'running' };
const committed: SourceRecord = { ...pausing, phase: 'committed' };

async function written(path: string, records: readonly SourceRecord[]): Promise<void> {
  const journal = Journal.source({ path, tryLock: free });
  journal.useSession(session);
  for (const record of records) await journal.write(record, { sync: false });
  journal.close();
}

function newest(path: string): SourceRecord | undefined {
  const journal = Journal.source({ path, tryLock: free });
  journal.close();
  return journal.newest?.handover;
}

function fault(run: () => unknown): string | null {
  try {
    run();
    return null;
  } catch (error) {
    return error instanceof HandoverError ? error.fault.code : String(error);
  }
}

void t.test('a new journal is preallocated, private and empty', async (t) => {
  const path = join(t.testdir(), 'source.journal');
  const journal = Journal.source({ path, tryLock: free });
  t.equal(journal.newest, null);
  t.equal(statSync(path).size, JOURNAL_BYTES);
  t.equal(statSync(path).mode & 0o777, 0o600);
  journal.close();
});

void t.test(
  'the newest step is read back with its session, also after the slots were used in turn',
  async (t) => {
    const path = join(t.testdir(), 'source.journal');
    await written(path, [precopy, pausing, committed]);
    const journal = Journal.source({ path, tryLock: free });
    t.same(journal.newest, { version: 1, session, handover: committed });
    for (let index = 0; index < 3 * SLOT_COUNT; index += 1) await journal.write(pausing, { sync: false });
    await journal.write(committed, { sync: true });
    journal.close();
    t.same(newest(path), committed);
    t.equal(statSync(path).size, JOURNAL_BYTES);
    t.same(peekSourceJournal(path)?.handover, committed);
  },
);

void t.test('a torn newest slot falls back to the step before, wherever it is torn', async (t) => {
  const path = join(t.testdir(), 'source.journal');
  await written(path, [pausing, committed]);
  const intact = readFileSync(path);
  const entry = { version: 1, session, handover: committed };
  const lengthBytes = encodeSlot({ sequence: 2, payload: JSON.stringify(entry) }).length;
  let fellBackCount = 0;
  for (let position = 0; position < lengthBytes; position += 1) {
    const torn = Buffer.from(intact);
    torn.fill(0xa5, 2 * SLOT_BYTES + position, 2 * SLOT_BYTES + lengthBytes);
    writeFileSync(path, torn);
    if (newest(path)?.phase === 'pausing') fellBackCount += 1;
  }
  t.equal(fellBackCount, lengthBytes);
});

void t.test('what cannot be used is refused by name', async (t) => {
  const directory = t.testdir();
  const path = join(directory, 'source.journal');
  await written(path, [pausing]);
  const unknown = encodeSlot({ sequence: 2, payload: '{"version":2}' });
  const noJson = encodeSlot({ sequence: 2, payload: '{' });
  const cases: [string, Buffer | null, TryLock, string][] = [
    ['held by another process', null, () => false, 'journal-locked'],
    ['an intact slot of another version', unknown, free, 'journal-unreadable'],
    ['an intact slot that is not JSON', noJson, free, 'journal-unreadable'],
  ];
  t.plan(cases.length + 2);
  for (const [name, slot, tryLock, code] of cases) {
    if (slot !== null) {
      const file = openSync(path, 'r+');
      writeSync(file, slot, 0, slot.length, 2 * SLOT_BYTES);
      closeSync(file);
    }
    t.equal(
      fault(() => Journal.source({ path, tryLock })),
      code,
      name,
    );
  }
  const journal = Journal.source({ path: join(directory, 'other.journal'), tryLock: free });
  const blocks = [{ id: 'pc.ram', path: '/'.padEnd(SESSION_MAX_BYTES, 'x') }];
  t.equal(
    fault(() => journal.useSession({ ...session, blocks })),
    'record-too-large',
    'paths that are too long',
  );
  await t.rejects(journal.write(pausing, { sync: false }), TypeError, 'a step without a session');
  journal.close();
});

void t.test('the largest step fits beside the largest session', async (t) => {
  const path = join(t.testdir(), 'destination.journal');
  const journal = Journal.destination({ path, tryLock: free });
  const spare = SESSION_MAX_BYTES - Buffer.byteLength(JSON.stringify({ ...session, address: '' }));
  const address = 'x'.repeat(Math.min(512, spare));
  const blocks = [{ id: 'pc.ram', path: 'x'.repeat(spare - address.length + '/dev/shm/guest.ram'.length) }];
  journal.useSession({ ...session, address, blocks });
  const guest = { type: 'x'.repeat(1000) };
  const reason = '\u0001'.repeat(512);
  await journal.write(
    { phase: 'destroying', epoch: 0xffff_ffff, guest, answer: 'aborted', reason },
    { sync: false },
  );
  journal.close();
  t.equal(Journal.destination({ path, tryLock: free }).newest?.handover.phase, 'destroying');
});
