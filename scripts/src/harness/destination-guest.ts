// The guest that a destination daemon has started. It outlives the daemon, so a script must end it itself.
import { existsSync, readFileSync } from 'node:fs';
import { waitFor } from './child.ts';
import type { Daemon } from './daemon.ts';

/** Its process id, once there is one. */
export async function destinationGuestPid(destination: Daemon): Promise<number | undefined> {
  return (await destination.status()).pageferry.guest?.pid;
}

/** Asks it to end, and waits until it has: its memory does not change any more then. */
export async function endDestinationGuest(destination: Daemon): Promise<void> {
  await signalUntilGone(destination, 'SIGTERM');
}

/** Whatever state it is in; nothing happens if there is none. */
export async function killDestinationGuest(destination: Daemon): Promise<void> {
  if (destination.child.exit === undefined) await signalUntilGone(destination, 'SIGKILL');
}

async function signalUntilGone(destination: Daemon, signal: NodeJS.Signals): Promise<void> {
  const pid = await destinationGuestPid(destination);
  if (pid === undefined || !isAlive(pid)) return;
  process.kill(pid, signal);
  await waitFor('the end of the guest', () => (isAlive(pid) ? undefined : true));
}

/** A process that has ended and only waits to be reaped does not count. */
function isAlive(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  try {
    return existsSync(path) && !/\) [ZX] /.test(readFileSync(path, 'latin1'));
  } catch {
    return false;
  }
}
