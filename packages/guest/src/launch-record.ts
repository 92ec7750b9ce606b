// How a guest command is started so that it stops before it executes, and how one knows later what became of it.
// A small shell stops itself, and executes the command when it is continued. The record file holds what it did:
//   prepared        written by the daemon before the shell exists
//   executing       appended by the shell once it was continued, right before exec
//   failed STATUS   appended by the shell when it is still there after exec, which is 126 or 127
// So without a child handle: gone with `prepared` only, or with `failed`, proves that the command never ran. Gone after
// `executing` proves nothing, and counts as run. A record that cannot be written keeps the shell from executing.
import { readFile, writeFile } from 'node:fs/promises';

export const SHELL = '/bin/sh';
const NAME = 'pageferry-guest';
const SCRIPT = `record=$1; shift
kill -STOP $$
trap 'echo "failed $?" >>"$record"' EXIT
echo executing >>"$record" || exit 125
exec "$@"`;

/** Arguments of the shell that waits to execute `command`. */
export function shellArguments(recordPath: string, command: readonly string[]): readonly string[] {
  return ['-c', SCRIPT, NAME, recordPath, ...command];
}

/** Whether these are the arguments of the shell, before it executed the command. */
export function isWaitingShell(commandLine: readonly string[], recordPath: string): boolean {
  return commandLine[3] === NAME && commandLine[4] === recordPath;
}

/** Makes the record; fails if there is one already. */
export async function writeLaunchRecord(recordPath: string): Promise<void> {
  await writeFile(recordPath, 'prepared\n', { flag: 'wx', mode: 0o600 });
}

/** Only for a shell that is gone: why its command was never executed, or `null` if that is not proven. */
export async function readRefusal(recordPath: string): Promise<string | null> {
  const lines = (await readFile(recordPath, 'utf8')).split('\n');
  const failure = lines.find((line) => line.startsWith('failed '));
  if (failure !== undefined) return `the guest command could not be executed (status ${failure.slice(7)})`;
  const isUntouched = lines.length === 2 && lines[0] === 'prepared';
  return isUntouched ? 'the guest ended before it was told to start' : null;
}
