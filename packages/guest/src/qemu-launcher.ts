// Starts the destination's QEMU by the configured command, and waits until its monitor answers.
// The command names the monitor's path itself; whoever answers there afterwards is the QEMU, because nobody did before
// and the kernel names it. So a script that starts it, or -daemonize, may stand between us and it.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findBlockedCommand } from './command-check.ts';
import { findMissingRoom, spawnDetached, type DetachedProcess } from './detached.ts';
import { GuestError } from './errors.ts';
import type { ProcessIdentity } from './guest.ts';
import { errorCode, type Processes } from './process-state.ts';
import { connectSocket } from './qmp-client.ts';
import type { QemuContext } from './qemu-process.ts';

const POLL_MS = 10;
const LOG_LINE_COUNT = 5;
const LOG_MAX_CHARACTERS = 2000;

export interface LaunchOptions {
  readonly command: readonly string[];
  /** Takes the log; it is made if missing. */
  readonly directory: string;
  /** Resolved path of the monitor. */
  readonly qmp: string;
}

export interface LaunchedQemu {
  readonly identity: ProcessIdentity;
  /** What it printed last, for an error; empty if nothing. */
  readonly lastOutput: () => Promise<string>;
}

/** Why a launch would fail, in words; empty when nothing is known against it. */
export async function launchReasons({ command, directory, qmp }: LaunchOptions): Promise<readonly string[]> {
  const busy = (await isListening(qmp)) ? [`another process listens at the monitor ${qmp} already`] : [];
  return [...(await findBlockedCommand(command)), ...(await findMissingRoom(directory)), ...busy];
}

/**
 * `launched` is told of the command once it is started.
 * @throws GuestError `launch-failed`, with the last lines of the QEMU's output
 */
export async function launchQemu(
  options: LaunchOptions,
  context: QemuContext,
  launched: (command: ProcessIdentity) => void = () => undefined,
): Promise<LaunchedQemu> {
  const blocked = await launchReasons(options);
  if (blocked.length > 0) throw new GuestError({ code: 'launch-failed', reason: blocked.join('; ') });
  const logPath = join(options.directory, `qemu-${randomBytes(6).toString('hex')}.log`);
  const lastOutput = (): Promise<string> => readLastLines(logPath);
  const child = await spawnDetached(logPath, options.command);
  try {
    const command = context.processes.identityOf(child.pid);
    if (command !== null) launched(command);
    return { identity: await waitForMonitor(child, options.qmp, context), lastOutput };
  } catch (cause) {
    killGroup(child, context);
    if (!(cause instanceof GuestError)) throw cause;
    const why = cause.fault.code === 'launch-failed' ? cause.fault.reason : cause.message;
    const output = await lastOutput();
    const reason = output === '' ? why : `${why}; its last output: ${output}`;
    throw new GuestError({ code: 'launch-failed', reason }, { cause });
  }
}

async function waitForMonitor(
  child: DetachedProcess,
  qmp: string,
  { monitors, processes, clock }: QemuContext,
): Promise<ProcessIdentity> {
  const { launchMs } = monitors.times;
  const deadline = clock.now() + launchMs;
  for (;;) {
    let missing: string;
    // Asked before the monitor is: a command may end when what it started has its monitor (-daemonize).
    const end = isGroupGone(child, processes) ? child.end() : null;
    try {
      const pid = await monitors.use(qmp, async (client) => client.pid);
      const identity = processes.identityOf(pid);
      if (identity !== null) return identity;
      missing = `its monitor ${qmp} is answered by a process that is not seen here (of another pid namespace?)`;
    } catch (error) {
      if (!isNotYet(error)) throw error;
      missing = whatIsMissing(error, qmp, launchMs);
    }
    if (end !== null)
      throw new GuestError({ code: 'launch-failed', reason: `${end} before its monitor was there` });
    if (clock.now() >= deadline) throw new GuestError({ code: 'launch-failed', reason: missing });
    await clock.wait(POLL_MS);
  }
}

/** The socket is there before QEMU has made its memory, and answers only after that. */
function isNotYet(error: unknown): error is GuestError {
  const code = error instanceof GuestError ? error.fault.code : null;
  return code === 'monitor-unreachable' || code === 'monitor-busy' || code === 'monitor-lost';
}

function whatIsMissing({ fault }: GuestError, qmp: string, launchMs: number): string {
  return fault.code === 'monitor-unreachable'
    ? `its monitor ${qmp} was not there after ${launchMs} ms; does the command have -qmp unix:${qmp},server=on,wait=off?`
    : `its monitor ${qmp} was there and did not greet within ${launchMs} ms: the QEMU is not ready (is it still making its memory?), or another client is connected`;
}

async function isListening(qmp: string): Promise<boolean> {
  try {
    (await connectSocket(qmp)).destroy();
    return true;
  } catch (error) {
    if (error instanceof GuestError) return error.fault.code === 'monitor-busy';
    throw error;
  }
}

/** A command may end and leave a QEMU in the background, which is of its group unless it made one of its own. */
function isGroupGone({ pid }: DetachedProcess, processes: Processes): boolean {
  try {
    processes.signal(-pid, 0);
    return false;
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return true;
    throw error;
  }
}

/** It leads its own group; a QEMU that went into the background itself was never seen and is not known. */
function killGroup(child: DetachedProcess, { processes }: QemuContext): void {
  try {
    processes.signal(-child.pid, 'SIGKILL');
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

async function readLastLines(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.slice(-LOG_MAX_CHARACTERS).trim().split('\n');
  return lines.slice(-LOG_LINE_COUNT).join(' | ');
}
