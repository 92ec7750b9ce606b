/**
 * Makes sure that an engine of an earlier life of a daemon is gone, before its image or its guest is touched.
 * Engines die with their daemon; this waits for it, and kills what did not.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { TransportError } from './errors.ts';

const POLL_MS = 5;
const GONE_TIMEOUT_MS = 5000;

/** A process for as long as its host is up: a recycled pid has another start time (field 22 of /proc/PID/stat). */
export interface NamedProcess {
  readonly pid: number;
  readonly startTime: number;
}

/** Resolves when the process is gone; null is nobody. @throws TransportError TIMED_OUT */
export async function endProcess(named: NamedProcess | null): Promise<void> {
  if (named === null) return;
  const deadlineMs = performance.now() + GONE_TIMEOUT_MS;
  while (!isGoneOrKilled(named)) {
    if (performance.now() > deadlineMs) {
      throw new TransportError({
        code: 'TIMED_OUT',
        waitingFor: `end of engine ${named.pid}`,
        milliseconds: GONE_TIMEOUT_MS,
      });
    }
    await sleep(POLL_MS);
  }
}

/** The name of a running process, for a journal; null if there is none (any more). @throws the system's errors */
export function namedProcess(pid: number | undefined): NamedProcess | null {
  const fields = pid === undefined ? undefined : statFields(pid);
  return pid === undefined || fields === undefined ? null : { pid, startTime: fields.startTime };
}

/** Kills it if it is there. A look that fails (no descriptor left) says nothing: neither gone, nor ours to kill. */
function isGoneOrKilled(named: NamedProcess): boolean {
  try {
    if (!isAlive(named)) return true;
    process.kill(named.pid, 'SIGKILL');
  } catch {
    // It ended in between, or cannot be seen now: the next look says so.
  }
  return false;
}

/** A zombie has closed its files already and counts as gone. */
function isAlive({ pid, startTime }: NamedProcess): boolean {
  const fields = statFields(pid);
  return fields !== undefined && fields.startTime === startTime && fields.state !== 'Z';
}

/** Undefined only if there is no such process. */
function statFields(pid: number): { readonly state: string; readonly startTime: number } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
  // The name in parentheses may itself contain spaces and parentheses: count from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: Number(fields[22 - 3]) };
}
