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
  while (isAlive(named)) {
    try {
      process.kill(named.pid, 'SIGKILL');
    } catch {
      // It ended in between; the next look says so.
    }
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

/** The name of a running process, for a journal; null if there is none (any more). */
export function namedProcess(pid: number | undefined): NamedProcess | null {
  const fields = pid === undefined ? undefined : statFields(pid);
  return pid === undefined || fields === undefined ? null : { pid, startTime: fields.startTime };
}

/** A zombie has closed its files already and counts as gone. */
function isAlive({ pid, startTime }: NamedProcess): boolean {
  const fields = statFields(pid);
  return fields !== undefined && fields.startTime === startTime && fields.state !== 'Z';
}

function statFields(pid: number): { readonly state: string; readonly startTime: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may itself contain spaces and parentheses: count from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTime: Number(fields[22 - 3]) };
  } catch {
    return undefined;
  }
}
