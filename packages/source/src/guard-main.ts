/**
 * Entry of the guard: resumes the guest that this daemon paused, if the daemon dies before the commit. Started by
 * the daemon in setup with the journal's path; it outlives it by design.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { guestFromIdentity } from '@pageferry/guest';
import { runGuard } from '@pageferry/handover';
import { endProcess, system } from '@pageferry/transport';
import { resumeGuest } from './guest-ports.ts';

const [journalPath] = process.argv.slice(2);
if (journalPath === undefined) throw new Error('usage: guard-main JOURNAL');

await runGuard({
  input: process.stdin,
  output: process.stdout,
  signals: process,
  journalPath,
  tryLock: (fd) => system.tryLockExclusive(fd),
  resumeGuest: (identity) => resumeGuest(guestFromIdentity(identity, system)),
  endEngine: (engine) => endProcess(engine),
  wait: async (milliseconds) => {
    await sleep(milliseconds);
  },
  log: (line) => process.stderr.write(`${line}\n`),
});
process.exit(0);
