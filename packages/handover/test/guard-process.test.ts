import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import t from 'tap';
import { runGuard, type GuardOptions } from '../src/guard-process.ts';
import { Journal } from '../src/journal.ts';
import type { SourceRecord } from '../src/journal-record.ts';
import { session } from './samples.ts';

const pausing: SourceRecord = { phase: 'pausing', epoch: 1, abortedEpoch: null, priorRunState: 'running' };
const cause = { code: 'cancelled', reason: 'the migration was cancelled' } as const;
const rolledBack: SourceRecord = { phase: 'rolled-back', epoch: 1, cause, isPeerInformed: false };

/** A guard in this process, armed, whose daemon has died; `happens` is what happens in each wait. */
async function afterDeath(
  path: string,
  happens: readonly (() => Promise<void> | void)[],
  overrides: Partial<GuardOptions> = {},
): Promise<{ outcome: string; log: string[] }> {
  const log: string[] = [];
  const input = new PassThrough();
  const rest = [...happens];
  input.end('arm\n');
  const outcome = await runGuard({
    input,
    output: new PassThrough(),
    signals: new EventEmitter(),
    journalPath: path,
    tryLock: () => true,
    resumeGuest: () => {
      log.push('resume');
      return Promise.resolve('resumed');
    },
    endEngine: () => Promise.resolve(),
    wait: async () => {
      const next = rest.shift();
      if (next === undefined) throw new Error('the guard waits for nothing');
      await next();
    },
    log: (line) => log.push(line),
    ...overrides,
  });
  return { outcome, log };
}

async function journalWith(path: string, record: SourceRecord): Promise<void> {
  const journal = Journal.source({ path, tryLock: () => true });
  journal.useSession(session);
  await journal.write(record, { sync: false });
  journal.close();
}

void t.test('what the journal says decides', async (t) => {
  const directory = t.testdir();
  const sure = { epoch: 1, abortedEpoch: null } as const;
  const cases: [SourceRecord, string, boolean][] = [
    [{ phase: 'precopy', ...sure }, 'settled', false],
    [pausing, 'recovered', true],
    [{ ...pausing, priorRunState: 'paused' }, 'recovered', false],
    [{ phase: 'committed', ...sure, priorRunState: 'running' }, 'settled', false],
    [{ phase: 'reclaimed', ...sure, priorRunState: 'running', cause }, 'recovered', true],
    [{ phase: 'completed', ...sure }, 'settled', false],
    [rolledBack, 'settled', false],
  ];
  t.plan(2 * cases.length);
  for (const [index, [record, expected, isResumed]] of cases.entries()) {
    const path = join(directory, `${index}.journal`);
    await journalWith(path, record);
    const { outcome, log } = await afterDeath(path, []);
    t.equal(outcome, expected, record.phase);
    t.equal(log.includes('resume'), isResumed, record.phase);
  }
});

void t.test(
  'while a restarted daemon holds the lock the guard waits until the handover is settled',
  async (t) => {
    const path = join(t.testdir(), 'source.journal');
    await journalWith(path, pausing);
    const happens = [() => undefined, () => journalWith(path, rolledBack)];
    const { outcome, log } = await afterDeath(path, happens, { tryLock: () => false });
    t.equal(outcome, 'settled');
    t.same(log, []);
  },
);

void t.test('a restarted daemon that dies before it has recovered is covered too', async (t) => {
  const path = join(t.testdir(), 'source.journal');
  await journalWith(path, pausing);
  let isHeld = true;
  const happens = [
    () => {
      isHeld = false;
    },
  ];
  const { outcome, log } = await afterDeath(path, happens, { tryLock: () => !isHeld });
  t.equal(outcome, 'recovered');
  t.equal(log[0], 'resume');
});

void t.test('the next handover is not this guard’s', async (t) => {
  const path = join(t.testdir(), 'source.journal');
  await journalWith(path, pausing);
  const happens = [() => journalWith(path, { ...pausing, epoch: 2, abortedEpoch: 1 })];
  const { outcome, log } = await afterDeath(path, happens, { tryLock: () => false });
  t.equal(outcome, 'settled');
  t.same(log, []);
});

void t.test('a guest that does not resume is tried again, the lock free in between', async (t) => {
  const path = join(t.testdir(), 'source.journal');
  await journalWith(path, pausing);
  let attemptCount = 0;
  const resumeGuest: GuardOptions['resumeGuest'] = () => {
    attemptCount += 1;
    return attemptCount === 1 ? Promise.reject(new Error('not now')) : Promise.resolve('resumed');
  };
  const { outcome } = await afterDeath(path, [() => undefined], { resumeGuest });
  t.equal(outcome, 'recovered');
  t.equal(attemptCount, 2);
});

void t.test('signals end an idle guard only', async (t) => {
  const path = join(t.testdir(), 'source.journal');
  await journalWith(path, pausing);
  const cases: [readonly string[], string][] = [
    [[], 'not-armed'],
    [['arm'], 'recovered'],
    [['arm', 'release'], 'not-armed'],
  ];
  t.plan(cases.length);
  for (const [lines, expected] of cases) {
    const input = new PassThrough();
    const output = new PassThrough();
    const signals = new EventEmitter();
    const ended = afterDeath(path, [], { input, output, signals });
    for (const line of lines) {
      input.write(`${line}\n`);
      await once(output, 'data');
    }
    signals.emit('SIGTERM');
    if (expected === 'recovered') input.end();
    t.equal((await ended).outcome, expected, lines.join(', '));
  }
});
