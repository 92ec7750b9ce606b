import { spawn } from 'node:child_process';
import t from 'tap';
import { ProcessLocks } from '../src/process-locks.ts';
import { fileCalls } from './file-calls.ts';

void t.test('a real process is tracked by one at a time', (t) => {
  t.plan(7);
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  const pid = child.pid ?? 0;
  const [first, second] = [new ProcessLocks(fileCalls), new ProcessLocks(fileCalls)];
  t.equal(first.take([pid, process.pid]), undefined);
  t.equal(first.take([pid]), undefined, 'again, by its holder');
  t.equal(second.take([2 ** 22 + 1, pid]), pid, 'one that is not there needs none');
  t.equal(second.take([process.pid]), process.pid);
  first.release();
  t.equal(second.take([pid, process.pid]), undefined);
  t.equal(first.take([pid]), pid);
  second.release();
  t.equal(first.take([pid]), undefined);
  first.release();
});
