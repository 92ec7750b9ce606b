// A process as the guest of the destination: a command of the configuration, made to exist stopped, started on commit.
// It outlives the daemon: own session, output to a log file, found again by its identity. In its own session its process
// group is orphaned from the start, so the kernel does not continue it when the daemon dies.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { findBlockedCommand } from './command-check.ts';
import { findMissingRoom, spawnDetached } from './detached.ts';
import { GuestError } from './errors.ts';
import type { Clock, DeviceState, IncomingGuest, IncomingGuestIdentity } from './guest.ts';
import type { ProcessIdentity, ResumeOutcome } from './guest.ts';
import { SHELL, shellArguments, writeLaunchRecord } from './launch-record.ts';
import { PreparedProcess } from './prepared-process.ts';
import type { Processes } from './process-state.ts';

/** The destination's guest when it is a process. `directory` takes the guest's record and log; it is made if missing. */
export class IncomingProcessGuest implements IncomingGuest {
  readonly type = 'process';
  readonly #command: readonly string[];
  readonly #directory: string;
  readonly #processes: Processes;
  readonly #clock: Clock;
  #prepared: PreparedProcess | null = null;

  constructor(command: readonly string[], directory: string, processes: Processes, clock: Clock) {
    this.#command = command;
    this.#directory = directory;
    this.#processes = processes;
    this.#clock = clock;
  }

  async preflight(): Promise<readonly string[]> {
    return [...(await findBlockedCommand(this.#command)), ...(await findMissingRoom(this.#directory))];
  }

  open(): Promise<null> {
    return Promise.resolve(null);
  }

  facts(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  blocks(): Promise<null> {
    return Promise.resolve(null);
  }

  async prepare(state: DeviceState | null): Promise<IncomingGuestIdentity> {
    if (state !== null) throw new GuestError({ code: 'device-state-refused' });
    if (this.#prepared !== null)
      throw new GuestError({ code: 'prepare-failed', reason: 'it was prepared already' });
    const blocked = await this.preflight();
    if (blocked.length > 0) throw new GuestError({ code: 'prepare-failed', reason: blocked.join('; ') });
    try {
      return await this.#launch();
    } catch (cause) {
      if (cause instanceof GuestError) throw cause;
      throw new GuestError({ code: 'prepare-failed', reason: String(cause) }, { cause });
    }
  }

  async resume(): Promise<ResumeOutcome> {
    if (this.#prepared === null) throw new GuestError({ code: 'not-prepared' });
    return this.#prepared.resume();
  }

  async destroy(): Promise<void> {
    await this.#prepared?.destroy();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #launch(): Promise<IncomingGuestIdentity> {
    const name = `guest-${randomBytes(6).toString('hex')}`;
    const recordPath = join(this.#directory, `${name}.record`);
    const logPath = join(this.#directory, `${name}.log`);
    await writeLaunchRecord(recordPath);
    const process = await spawnDetached(logPath, [SHELL, ...shellArguments(recordPath, this.#command)]);
    const identity = { type: 'process', recordPath, logPath, ...this.#identify(process.pid) } as const;
    this.#prepared = new PreparedProcess(identity, this.#processes, this.#clock);
    await this.#prepared.waitUntilStopped();
    return identity;
  }

  /** The child is not reaped before its exit is handled in a later turn, so the pid cannot be another's yet. */
  #identify(pid: number): ProcessIdentity {
    const identity = this.#processes.identityOf(pid);
    if (identity === null)
      throw new GuestError({ code: 'prepare-failed', reason: 'the guest ended at once' });
    return identity;
  }
}
