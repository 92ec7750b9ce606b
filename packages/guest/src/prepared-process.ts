// The prepared guest of the destination, known by nothing but its identity: this is what a restarted daemon has.
// Invariant: `refused` only when the command was certainly never executed; the record file is kept after the end,
// because the daemon may be killed between killing the guest and writing that it did.
import { GuestError } from './errors.ts';
import type { Clock, IncomingGuest, IncomingGuestIdentity, ResumeOutcome } from './guest.ts';
import { isWaitingShell, readRefusal } from './launch-record.ts';
import { errorCode, signalProcess, summarizeProcess } from './process-state.ts';
import type { Processes, TaskSummary } from './process-state.ts';

const POLL_MS = 1;
const TIMEOUT_MS = 30_000;

type IncomingProcessIdentity = Extract<IncomingGuestIdentity, { type: 'process' }>;
type Stage = 'stopped' | 'starting' | 'executed' | 'ended';

/** A guest command that was started, and waits or waited to execute. */
export class PreparedProcess implements IncomingGuest {
  readonly type = 'process';
  readonly #identity: IncomingProcessIdentity;
  readonly #processes: Processes;
  readonly #clock: Clock;

  constructor(identity: IncomingProcessIdentity, processes: Processes, clock: Clock) {
    this.#identity = identity;
    this.#processes = processes;
    this.#clock = clock;
  }

  preflight(): Promise<readonly string[]> {
    return Promise.resolve([]);
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

  prepare(): Promise<IncomingGuestIdentity> {
    return Promise.reject(new GuestError({ code: 'prepare-failed', reason: 'it was prepared already' }));
  }

  /** Resolves when the shell has stopped itself; if it does not, it is killed and the call throws. */
  async waitUntilStopped(): Promise<void> {
    const stage = await this.#pollWhile((current) => current === 'starting');
    if (stage === 'stopped') return;
    await this.destroy();
    const reason = stage === 'ended' ? 'the guest ended at once' : 'the guest did not stop itself';
    throw new GuestError({ code: 'prepare-failed', reason });
  }

  /** Throws `start-timeout` when nothing is known after 30 s; the call can then be repeated. */
  async resume(): Promise<ResumeOutcome> {
    const stage = await this.#pollWhile((current) => {
      if (current === 'stopped') this.#signalIfThere('SIGCONT');
      return current === 'stopped' || current === 'starting';
    });
    if (stage === 'executed') return { outcome: 'running', note: null };
    if (stage === 'ended') return this.#judgeEnd();
    throw new GuestError({ code: 'start-timeout', pid: this.#identity.pid, timeoutMs: TIMEOUT_MS });
  }

  async destroy(): Promise<void> {
    if (this.#summarize() !== 'ended') this.#killGroup();
    const deadline = this.#clock.now() + TIMEOUT_MS;
    while (this.#summarize() !== 'ended') {
      if (this.#clock.now() >= deadline)
        throw new GuestError({ code: 'kill-timeout', pid: this.#identity.pid, timeoutMs: TIMEOUT_MS });
      await this.#clock.wait(POLL_MS);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #pollWhile(isUndecided: (stage: Stage) => boolean): Promise<Stage> {
    const deadline = this.#clock.now() + TIMEOUT_MS;
    for (;;) {
      const stage = this.#stage();
      if (!isUndecided(stage) || this.#clock.now() >= deadline) return stage;
      await this.#clock.wait(POLL_MS);
    }
  }

  /** `prepare` never sees `executed`: the shell stops itself first. An empty command line is an exec under way. */
  #stage(): Stage {
    const summary = this.#summarize();
    if (summary === 'ended') return 'ended';
    const commandLine = this.#processes.commandLine(this.#identity.pid);
    if (commandLine === null || commandLine.length === 0) return 'starting';
    if (!isWaitingShell(commandLine, this.#identity.recordPath)) return 'executed';
    return summary === 'all-stopped' ? 'stopped' : 'starting';
  }

  /** A recycled pid means that our process has ended. */
  #summarize(): TaskSummary {
    try {
      return summarizeProcess(this.#processes, this.#identity);
    } catch (error) {
      if (error instanceof GuestError && error.fault.code === 'recycled') return 'ended';
      throw error;
    }
  }

  /** A record that went through a restart of the host may have lost its last line: it proves nothing. */
  async #judgeEnd(): Promise<ResumeOutcome> {
    if (this.#processes.bootId() !== this.#identity.bootId)
      return { outcome: 'running', note: 'the host was restarted; whether the guest ran is unknown' };
    try {
      const reason = await readRefusal(this.#identity.recordPath);
      if (reason !== null) return { outcome: 'refused', reason };
      return { outcome: 'running', note: 'the guest started, and has ended already' };
    } catch (error) {
      if (errorCode(error) === null) throw error;
      return { outcome: 'running', note: `the guest has ended; whether it ran is unknown: ${String(error)}` };
    }
  }

  #signalIfThere(signal: 'SIGCONT'): void {
    try {
      signalProcess(this.#processes, this.#identity, signal);
    } catch (error) {
      if (!(error instanceof GuestError) || (error.fault.code !== 'ended' && error.fault.code !== 'recycled'))
        throw error;
    }
  }

  /** The shell leads its session and group for good, so the group's id is its pid. */
  #killGroup(): void {
    try {
      this.#processes.signal(-this.#identity.pid, 'SIGKILL');
    } catch (error) {
      if (errorCode(error) !== 'ESRCH') throw error;
    }
  }
}
