/** What /proc says about processes that are not our children: guests at the destination, engines, guards. */
import { readdirSync, readFileSync } from 'node:fs';
import { errorCode } from './error-code.ts';
import { eventually } from './wait.ts';

/** The kernel's letter: R, S and D run, T is stopped. Undefined for a process that is gone or a zombie. */
export function processState(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  const state = stat?.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  return state === 'Z' || state === 'X' ? undefined : state;
}

/** Processes with this text in their command line, which is how the processes of one test are found: by its directory. */
export function processesNaming(text: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => readIfThere(`/proc/${name}/cmdline`)?.includes(text) === true)
    .map(Number)
    .filter((pid) => processState(pid) !== undefined);
}

/** Program and arguments; empty for a process that is gone. */
export function commandLineOf(pid: number): readonly string[] {
  return (readIfThere(`/proc/${pid}/cmdline`) ?? '').split('\0').slice(0, -1);
}

/** Sends a signal, unless the process is gone. */
export function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

/** Resolves when there is no such process. */
export async function untilGone(pid: number): Promise<void> {
  await eventually(`the end of process ${pid}`, () => (processState(pid) === undefined ? true : undefined));
}

/** Ends every process that names the text: guests that outlived their daemon, guards, daemons of a failed start. */
export async function endProcessesNaming(text: string): Promise<void> {
  for (const pid of processesNaming(text)) {
    signalIfThere(pid, 'SIGKILL');
    await untilGone(pid);
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH' || errorCode(error) === 'EACCES')
      return undefined;
    throw error;
  }
}
