// A guard process for the test: node guard-main.js JOURNAL. What it does to the guest is a line on standard error.
import { setTimeout as wait } from 'node:timers/promises';
import { runGuard } from '../../src/guard-process.ts';
import { tryLock } from './lock.ts';

const [, , journalPath = ''] = process.argv;
const outcome = await runGuard({
  input: process.stdin,
  output: process.stdout,
  signals: process,
  journalPath,
  tryLock,
  resumeGuest: (guest) => {
    process.stderr.write(`resumed ${JSON.stringify(guest)}\n`);
    return Promise.resolve('resumed');
  },
  endEngine: () => Promise.resolve(),
  wait: (milliseconds) => wait(milliseconds),
  log: () => undefined,
});
process.stderr.write(`guard ended: ${outcome}\n`);
