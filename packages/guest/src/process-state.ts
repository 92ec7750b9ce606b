// Processes as /proc shows them. Everything reads synchronously: a caller that checks an identity and then signals does
// both in one turn, which leaves a recycled pid a window of microseconds (closing it needs a pidfd, which Node has not).
// Invariant: a process counts as stopped only when every task of it is, and no task was added while they were read.
import { readFileSync, readdirSync } from 'node:fs';
import { GuestError } from './errors.ts';
import type { ProcessIdentity } from './guest.ts';

/** One line of /proc/PID/stat, as far as we need it. `state` is the kernel's letter: R, S, D, T, t, Z, X, I. */
export interface ProcessStat {
  readonly state: string;
  readonly startTime: number;
}

/** `some-running`: at least one task may still execute. `ended`: no task is left, or only zombies. */
export type TaskSummary = 'all-stopped' | 'some-running' | 'ended';

export type GuestSignal = 'SIGSTOP' | 'SIGCONT' | 'SIGKILL';

/** The operating system's processes; tests of races pass their own. */
export interface Processes {
  /** /proc/sys/kernel/random/boot_id. */
  bootId(): string;
  /** Identity of what has this pid now, `null` if nothing has it. A zombie still has its pid. */
  identityOf(pid: number): ProcessIdentity | null;
  summarizeTasks(pid: number): TaskSummary;
  /** Arguments, as the process was executed; `null` if it is gone, empty while it executes or when it is a zombie. */
  commandLine(pid: number): readonly string[] | null;
  /** Pid of the debugger, 0 for none. */
  tracerPid(pid: number): number;
  /** Throws Node's system error, `ESRCH` or `EPERM`. A negative pid is a process group. */
  signal(pid: number, signal: GuestSignal | 0): void;
}

/** Processes of this host, read from /proc. */
export const hostProcesses: Processes = {
  bootId() {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  },
  identityOf(pid) {
    const text = readIfThere(`/proc/${pid}/stat`);
    if (text === null) return null;
    return { pid, startTime: parseStat(text).startTime, bootId: hostProcesses.bootId() };
  },
  summarizeTasks(pid) {
    const before = listTasks(pid);
    const states = before.flatMap((task) => {
      const text = readIfThere(`/proc/${pid}/task/${task}/stat`);
      return text === null ? [] : [parseStat(text).state];
    });
    const summary = summarizeStates(states);
    // A task that was running while it was listed can have made another one before it stopped.
    if (summary === 'all-stopped' && listTasks(pid).join() !== before.join()) return 'some-running';
    return summary;
  },
  commandLine(pid) {
    const text = readIfThere(`/proc/${pid}/cmdline`);
    return text === null ? null : text.split('\0').slice(0, -1);
  },
  tracerPid(pid) {
    const line = /^TracerPid:\s*(\d+)$/m.exec(readIfThere(`/proc/${pid}/status`) ?? '');
    return Number(line?.[1] ?? 0);
  },
  signal(pid, signal) {
    process.kill(pid, signal);
  },
};

/** Parses a line of /proc/PID/stat. The second field, the name, may hold spaces and parentheses: the last one ends it. */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTime = Number(fields[22 - 3]);
  if (state === undefined || !Number.isSafeInteger(startTime))
    throw new Error(`not a line of /proc/PID/stat: ${text}`);
  return { state, startTime };
}

/** T is stopped by a signal, t by a debugger; a zombie (Z, X) executes nothing any more. */
export function summarizeStates(states: readonly string[]): TaskSummary {
  if (states.every((state) => state === 'Z' || state === 'X')) return 'ended';
  return states.every((state) => 'TtZX'.includes(state)) ? 'all-stopped' : 'some-running';
}

/** Summary of the very process that the identity names. Throws `recycled` when another one has its pid. */
export function summarizeProcess(processes: Processes, identity: ProcessIdentity): TaskSummary {
  const found = processes.identityOf(identity.pid);
  if (found === null) return 'ended';
  if (found.startTime !== identity.startTime || found.bootId !== identity.bootId)
    throw new GuestError({ code: 'recycled', pid: identity.pid });
  return processes.summarizeTasks(identity.pid);
}

/** Signals the very process that the identity names, or throws `recycled`, `ended` or `not-permitted`. */
export function signalProcess(processes: Processes, identity: ProcessIdentity, signal: GuestSignal): void {
  if (summarizeProcess(processes, identity) === 'ended')
    throw new GuestError({ code: 'ended', pid: identity.pid });
  try {
    processes.signal(identity.pid, signal);
  } catch (cause) {
    throw signalError(cause, identity.pid, signal);
  }
}

function signalError(cause: unknown, pid: number, signal: GuestSignal): unknown {
  if (errorCode(cause) === 'ESRCH') return new GuestError({ code: 'ended', pid }, { cause });
  if (errorCode(cause) === 'EPERM') return new GuestError({ code: 'not-permitted', pid, signal }, { cause });
  return cause;
}

/** The code of a system error, such as `ENOENT`; `null` for any other value. */
export function errorCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

function listTasks(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

/** A process that ends between open and read gives ESRCH. */
function isGone(error: unknown): boolean {
  return errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH';
}
