/**
 * What every engine does for its daemon's sake: dies with it, yields to the guest, sends it messages.
 */
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { errorReport } from './error-report.ts';
import { system } from './system.ts';

/** Engines run at this niceness: a migration must not starve the guests of its host. */
const ENGINE_NICENESS = 5;

/**
 * Binds this process to its daemon; the first call of an engine's main file, before any worker is started
 * (niceness is per thread and inherited). `process.exit` hangs while a worker is blocked in a system call,
 * so losing the daemon ends the process with SIGKILL.
 */
export function bindToDaemon(): void {
  setPriority(ENGINE_NICENESS);
  system.dieWithParent(Number(process.argv[2]));
  process.on('disconnect', endNow);
  // No descriptor is left for what was sent, say: the daemon learns why.
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${error.stack ?? error.message}\n`);
    process.send?.(errorReport(error), undefined, {}, endNow);
  });
}

function endNow(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Sends a message to the daemon; without one (already gone) the death signal is under way. */
export function tellDaemon(message: object): void {
  process.send?.(message);
}

/** Anonymous memory of this process in bytes: what an engine itself takes, without the images that it maps. */
export function rssAnonBytes(): number {
  const match = /^RssAnon:\s+(\d+) kB$/m.exec(ownStatus());
  return Number(match?.[1] ?? 0) * 1024;
}

/** Empty where it cannot be read, because no descriptor is left: the pages go on without the figure. */
function ownStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'latin1');
  } catch {
    return '';
  }
}
