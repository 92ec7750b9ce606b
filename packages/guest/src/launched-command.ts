// A guest's command between its start and the moment in which its guest answers: all that is known of it is the process
// that leads its group. Nothing of a guest is in it yet, so it can be killed.
import type { ProcessIdentity } from './guest.ts';
import { errorCode, type Processes } from './process-state.ts';

/** Kills the group, also of a command that is a script; not where the pid is another process's by now. */
export function endLaunched({ pid, startTime, bootId }: ProcessIdentity, processes: Processes): void {
  const found = processes.identityOf(pid);
  if (found === null || found.startTime !== startTime || found.bootId !== bootId) return;
  try {
    processes.signal(-pid, 'SIGKILL');
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}
