import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { startGuard } from '../src/guard.ts';
import { Journal } from '../src/journal.ts';
import { session } from './samples.ts';

const folder = join(dirname(fileURLToPath(import.meta.url)), 'guard');

/** Runs a daemon up to `step`, signals guard and daemon, and waits until the guard too is gone (the end of the pipe). */
async function killDaemonAt(step: string, path: string): Promise<{ phase: string; said: string }> {
  const daemon = spawn(process.execPath, [join(folder, 'daemon-main.js'), path, step], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = text(daemon.stderr);
  const [line] = await once(daemon.stdout.setEncoding('utf8'), 'data');
  const [phase = '', guardPid] = String(line).trim().split(' ');
  // An idle guard ends at SIGTERM, and the daemon would notice that it is lost: only an armed one is signalled.
  if (phase === 'paused')
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.kill(Number(guardPid), signal);
  daemon.kill('SIGKILL');
  return { phase, said: await said };
}

void t.test('a daemon that is killed: what its guard does, and what the journal says then', async (t) => {
  const resumed = `resumed ${JSON.stringify(session.guest)}\nguard ended: recovered\n`;
  const idle = 'guard ended: not-armed\n';
  const cases: [string, string, string, string][] = [
    ['precopy', 'precopy', idle, 'precopy'],
    ['paused', 'paused', resumed, 'rolled-back'],
    ['committed', 'committed', idle, 'committed'],
    ['rolled-back', 'rolled-back', idle, 'rolled-back'],
  ];
  t.plan(3 * cases.length);
  const directory = t.testdir();
  const check = async ([step, reached, words, record]: [string, string, string, string]): Promise<void> => {
    const path = join(directory, `${step}.journal`);
    const { phase, said } = await killDaemonAt(step, path);
    t.equal(phase, reached, step);
    t.equal(said, words, step);
    const journal = Journal.source({ path, tryLock: () => true });
    t.equal(journal.newest?.handover.phase, record, step);
    journal.close();
  };
  await Promise.all(cases.map(check));
});

void t.test('a guard that is killed is reported, and cannot be armed', async (t) => {
  const path = join(t.testdir(), 'source.journal');
  const guardian = new EventEmitter();
  const command = [process.execPath, join(folder, 'guard-main.js'), path] as const;
  const guard = startGuard({ command });
  guard.watch((reason) => guardian.emit('lost', reason));
  await guard.arm();
  await guard.release();
  const lost = once(guardian, 'lost');
  process.kill(guard.pid ?? 0, 'SIGKILL');
  t.match(String(await lost), /SIGKILL/);
  await t.rejects(guard.arm(), /the guard process is lost: it ended with SIGKILL/);
  await guard.release();
  const missing = startGuard({ command: [join(folder, 'no-such-program')] });
  await t.rejects(missing.arm(), /the guard process is lost/);
});

void t.test('a guard that is stopped ends without touching anything', async (t) => {
  const path = join(t.testdir(), 'source.journal');
  const command = [process.execPath, join(folder, 'guard-main.js'), path] as const;
  const guard = startGuard({ command });
  guard.watch((reason) => t.fail(reason));
  await guard.arm();
  await guard.stop();
  t.throws(() => process.kill(guard.pid ?? 0, 0), /ESRCH/);
});
