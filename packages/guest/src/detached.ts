// Starts a guest's process so that it outlives the daemon: own session, output to a log file.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GuestError } from './errors.ts';
import { errorCode } from './process-state.ts';

/** What record and log begin with: a block each, on most file systems. */
const FILES_BYTES = 8192;

export interface DetachedProcess {
  readonly pid: number;
  /** How it ended, in words; `null` while it has not. */
  readonly end: () => string | null;
}

/** Program and arguments; the log must not exist yet. Throws `prepare-failed` when nothing could be started. */
export async function spawnDetached(logPath: string, command: readonly string[]): Promise<DetachedProcess> {
  const [program = '', ...commandArguments] = command;
  const log = await open(logPath, 'wx', 0o600);
  try {
    const child = spawn(program, commandArguments, { detached: true, stdio: ['ignore', log.fd, log.fd] });
    let end: string | null = null;
    child.once('exit', (code, signal) => {
      end = signal === null ? `it ended with code ${code ?? 'unknown'}` : `it was ended by ${signal}`;
    });
    const pid = await pidOf(child);
    child.unref();
    return { pid, end: () => end };
  } finally {
    await log.close();
  }
}

async function pidOf(child: ChildProcess): Promise<number> {
  if (child.pid !== undefined) return child.pid;
  const [error]: unknown[] = await once(child, 'error').catch((reason: unknown) => [reason]);
  throw new GuestError({ code: 'prepare-failed', reason: String(error) }, { cause: error });
}

/** Why a guest's files cannot be made in the directory; it is made if missing. A full file system is better known now. */
export async function findMissingRoom(directory: string): Promise<readonly string[]> {
  const path = join(directory, `probe-${randomBytes(6).toString('hex')}`);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(path, Buffer.alloc(FILES_BYTES), { flag: 'wx', mode: 0o600 });
    return [];
  } catch (error) {
    return [`the guest's record cannot be kept in ${directory}: ${errorCode(error) ?? String(error)}`];
  } finally {
    await rm(path, { force: true });
  }
}
