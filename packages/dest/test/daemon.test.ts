/**
 * The destination daemon without a source: what a restarted one does about a QEMU that it had opened (a process that
 * answers at its monitor), and whose abort it takes while it is armed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProcessIdentity } from '@pageferry/guest';
import { Journal, type DestinationRecord } from '@pageferry/handover';
import { incomingBody, problemType } from '@pageferry/protocol';
import { namedProcess } from '@pageferry/transport';
import pino from 'pino';
import t, { type Test } from 'tap';
import { DestinationDaemon } from '../src/daemon.ts';
import { OpenedGuest } from '../src/opened-guest.ts';

/** Its run state is the second argument. */
const PROGRAM = `
const { createServer } = require('node:net');
const [, qmp, status] = process.argv;
createServer((socket) => {
  socket.on('error', () => undefined);
  socket.write(JSON.stringify({ QMP: { version: { qemu: { major: 7, minor: 2, micro: 0 } } } }) + '\\n');
  socket.on('data', (text) => {
    const { execute, id } = JSON.parse(text);
    const answer = execute === 'query-status' ? { status, running: status === 'running' } : {};
    socket.write(JSON.stringify({ return: answer, id }) + '\\n', () => execute === 'quit' && process.exit(0));
  });
}).listen(qmp, () => console.log('listening'));
`;

/** Restarts a daemon that is killed in this phase, or before its first; resolves with the QEMU's process. */
async function restart(
  t: Test,
  status: string,
  handover: DestinationRecord | null,
): Promise<{ readonly qemu: ChildProcess; readonly isKept: boolean }> {
  const folder = mkdtempSync(join(tmpdir(), 'pageferry-'));
  const qmp = join(folder, 'qmp');
  const qemu = spawn(process.execPath, ['-e', PROGRAM, qmp, status], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => {
    qemu.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  if (qemu.stdout === null) throw new Error('not started');
  await once(qemu.stdout, 'data');
  const path = join(folder, 'opened-guest.json');
  new OpenedGuest(path).keep({ type: 'qemu', qmp, isOurs: true, ...identityOf(qemu) });
  const journal = Journal.destination({ path: join(folder, 'destination.journal'), tryLock: () => true });
  if (handover !== null) {
    journal.useSession({
      sessionId: '01'.repeat(16),
      sessionKey: '02'.repeat(16),
      address: 'tcp:127.0.0.1:0',
      blocks: [],
      guest: { type: 'qemu', qmp },
      engine: null,
    });
    await journal.write(handover, { sync: false });
  }
  await recover(folder, journal);
  return { qemu, isKept: existsSync(path) };
}

function identityOf({ pid }: ChildProcess): ProcessIdentity {
  const named = pid === undefined ? null : namedProcess(pid);
  if (named === null) throw new Error('ended');
  return { ...named, bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim() };
}

async function recover(folder: string, journal: Journal<DestinationRecord>): Promise<void> {
  const daemon = daemonIn(folder, journal);
  await daemon.recover();
  await daemon.shutDown();
}

function daemonIn(
  folder: string,
  journal: Journal<DestinationRecord>,
  logger = pino({ level: 'silent' }),
): DestinationDaemon {
  return new DestinationDaemon({
    logger,
    journal,
    stateDirectory: folder,
    policy: { imageRoot: folder, isStrict: false },
    qmpRoot: folder,
    allowsPlainTcp: false,
    guestCommands: {},
  });
}

void t.test('a command whose guest never answered is ended', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pageferry-'));
  const child = spawn('sleep', ['1000'], { detached: true });
  t.teardown(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  await once(child, 'spawn');
  const opened = new OpenedGuest(join(folder, 'opened-guest.json'));
  opened.keepLaunched(identityOf(child));
  await recover(
    folder,
    Journal.destination({ path: join(folder, 'destination.journal'), tryLock: () => true }),
  );
  if (child.signalCode === null) await once(child, 'exit', { signal: AbortSignal.timeout(END_MS) });
  t.equal(child.signalCode, 'SIGKILL');
  t.equal(opened.findLaunched(), undefined);
});

/** The daemon has seen its end; this process hears of it a moment later. */
const END_MS = 5000;

const OLD_GUEST = { type: 'none' };

void t.test('a QEMU that waits for its state is ended, whatever the journal has', async (t) => {
  const table: readonly (DestinationRecord | null)[] = [
    null,
    { phase: 'running', epoch: 1, runState: 'running', guest: OLD_GUEST },
    { phase: 'refused', epoch: 1, reason: 'its disks were locked' },
    { phase: 'receiving', epoch: 1 },
    { phase: 'aborted', epoch: 1, reason: 'cut' },
  ];
  t.plan(table.length * 2);
  for (const record of table) {
    const { qemu, isKept } = await restart(t, 'inmigrate', record);
    if (qemu.exitCode === null) await once(qemu, 'exit', { signal: AbortSignal.timeout(END_MS) });
    t.equal(qemu.exitCode, 0, record?.phase ?? 'nothing');
    t.notOk(isKept);
  }
});

void t.test('a QEMU that holds a guest is left alone', async (t) => {
  t.plan(4);
  for (const status of ['running', 'paused']) {
    const record = { phase: 'running', epoch: 1, runState: 'running', guest: OLD_GUEST } as const;
    const { qemu, isKept } = await restart(t, status, record);
    t.equal(qemu.exitCode, null, status);
    t.notOk(isKept, 'it is the journal’s');
  }
});

void t.test('an armed migration, which has no id yet, is not aborted by the id of another', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'ram');
  writeFileSync(path, '');
  truncateSync(path, 2 ** 21);
  const journal = Journal.destination({ path: join(folder, 'destination.journal'), tryLock: () => true });
  const daemon = daemonIn(folder, journal);
  t.teardown(() => daemon.shutDown());
  await daemon.arm(incomingBody.parse({ listen: 'tcp:127.0.0.1:0', blocks: [{ id: 'ram', path }] }));
  const other = '01010101-0101-4101-8101-010101010101';
  await t.rejects(daemon.abort(other), {
    message: /no migration-id/,
    problem: { type: problemType('migration-unknown'), status: 404 },
  });
  t.equal(daemon.status().pageferry.phase, 'armed');
  t.same(await daemon.abort(undefined), {});
  t.equal(daemon.status().pageferry.phase, 'cancelled');
});

/** A daemon that begins with this in its journal; the guest is of type none. Its log is in `lines`. */
async function recovered(
  t: Test,
  handover: DestinationRecord,
): Promise<{ readonly daemon: DestinationDaemon; readonly lines: readonly string[] }> {
  const folder = t.testdir();
  const journal = Journal.destination({ path: join(folder, 'destination.journal'), tryLock: () => true });
  journal.useSession({
    sessionId: '01'.repeat(16),
    sessionKey: '02'.repeat(16),
    address: 'tcp:127.0.0.1:0',
    blocks: [{ id: 'ram', path: join(folder, 'ram') }],
    guest: { type: 'none' },
    engine: null,
  });
  await journal.write(handover, { sync: false });
  const lines: string[] = [];
  const daemon = daemonIn(folder, journal, pino({ level: 'warn' }, { write: (line) => lines.push(line) }));
  t.teardown(() => daemon.shutDown());
  await daemon.recover();
  return { daemon, lines };
}

void t.test(
  'after a restart all memory is here once the guest was prepared; of type none, nobody runs',
  async (t) => {
    const table: readonly (readonly [record: DestinationRecord, phase: string, coverage: number])[] = [
      [{ phase: 'prepared', epoch: 1, runState: 'running', guest: OLD_GUEST }, 'awaiting-source', 1],
      [{ phase: 'running', epoch: 1, runState: 'running', guest: OLD_GUEST }, 'completed', 1],
      [{ phase: 'aborted', epoch: 1, reason: 'cut' }, 'failed', 0],
    ];
    for (const [record, phase, coverage] of table) {
      await t.test(record.phase, async (t) => {
        const { daemon } = await recovered(t, record);
        const { pageferry } = daemon.status();
        t.match(pageferry, { phase, coverage, guest: { type: 'none', state: 'absent' } });
        t.equal(pageferry.image === 'complete', coverage === 1);
      });
    }
  },
);

void t.test(
  'a takeover is logged once: said again, or of a guest that runs, it takes nothing over',
  async (t) => {
    const { daemon, lines } = await recovered(t, {
      phase: 'prepared',
      epoch: 1,
      runState: 'running',
      guest: OLD_GUEST,
    });
    const id = daemon.status().pageferry['migration-id'] ?? '';
    const takeovers = (): number =>
      lines.filter((line) => line.includes('taken over by the operator')).length;
    await daemon.takeOver(id);
    t.equal(daemon.status().pageferry.phase, 'completed');
    t.equal(takeovers(), 1);
    t.same(await daemon.takeOver(id), { 'migration-id': id });
    t.equal(takeovers(), 1);
  },
);
