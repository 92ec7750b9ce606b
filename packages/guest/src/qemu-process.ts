// A QEMU as its identity names it: the process, and the monitor that must be that process's.
// Invariant: nothing is said to a monitor that another process answers, and nothing is signalled but the very process.
import { GuestError } from './errors.ts';
import type { Clock, GuestHost, ProcessIdentity } from './guest.ts';
import type { Monitors } from './monitors.ts';
import { signalProcess, summarizeProcess } from './process-state.ts';
import type { Processes } from './process-state.ts';
import type { QmpClient } from './qmp-client.ts';
import type { SaveRecords } from './save-record.ts';

const POLL_MS = 2;
/** A process whose sockets are closed is gone a moment later, when its memory is freed. */
const LAST_MOMENT_MS = 1000;
/** From SIGKILL to the end; a process in an uninterruptible call takes as long as that does. */
const KILL_TIMEOUT_MS = 30_000;

/** What everything about a QEMU needs from outside. */
export interface QemuContext {
  readonly host: GuestHost;
  readonly monitors: Monitors;
  readonly saves: SaveRecords;
  readonly processes: Processes;
  readonly clock: Clock;
}

export class QemuProcess {
  readonly identity: ProcessIdentity;
  /** Resolved path of the monitor. */
  readonly qmp: string;
  readonly context: QemuContext;
  #letGo: (() => void) | null = null;

  constructor(identity: ProcessIdentity, qmp: string, context: QemuContext) {
    this.identity = identity;
    this.qmp = qmp;
    this.context = context;
  }

  /** Keeps the monitor between uses, until `letGo`. */
  hold(): void {
    this.#letGo ??= this.context.monitors.hold(this.qmp);
  }

  letGo(): void {
    this.#letGo?.();
    this.#letGo = null;
  }

  /** @throws GuestError `ended` when the process is gone, `monitor-foreign`, and what the monitor throws */
  async use<T>(work: (client: QmpClient) => Promise<T>): Promise<T> {
    const { pid } = this.identity;
    if (this.hasEnded()) throw new GuestError({ code: 'ended', pid });
    try {
      return await this.context.monitors.use(this.qmp, async (client) => {
        if (client.pid !== pid)
          throw new GuestError({ code: 'monitor-foreign', path: this.qmp, pid, found: client.pid });
        return work(client);
      });
    } catch (cause) {
      if (isDisconnected(cause) && (await this.waitForEnd(LAST_MOMENT_MS)))
        throw new GuestError({ code: 'ended', pid }, { cause });
      throw cause;
    }
  }

  /** Also when its pid is another process's now. */
  hasEnded(): boolean {
    try {
      return summarizeProcess(this.context.processes, this.identity) === 'ended';
    } catch (error) {
      if (error instanceof GuestError && error.fault.code === 'recycled') return true;
      throw error;
    }
  }

  /** Whether it ended in that time. */
  async waitForEnd(timeoutMs: number): Promise<boolean> {
    const { clock } = this.context;
    const deadline = clock.now() + timeoutMs;
    while (!this.hasEnded()) {
      if (clock.now() >= deadline) return false;
      await clock.wait(POLL_MS);
    }
    return true;
  }

  /** `quit`, and SIGKILL if that does not help soon. @throws GuestError `not-permitted`, `kill-timeout` */
  async end(): Promise<void> {
    if (await this.#quit()) return;
    this.#kill();
    if (await this.waitForEnd(KILL_TIMEOUT_MS)) return;
    throw new GuestError({ code: 'kill-timeout', pid: this.identity.pid, timeoutMs: KILL_TIMEOUT_MS });
  }

  async #quit(): Promise<boolean> {
    const { endMs } = this.context.monitors.times;
    try {
      await this.use((client) => client.execute('quit', {}, endMs));
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      return this.hasEnded();
    }
    return this.waitForEnd(endMs);
  }

  #kill(): void {
    try {
      signalProcess(this.context.processes, this.identity, 'SIGKILL');
    } catch (error) {
      const code = error instanceof GuestError ? error.fault.code : null;
      if (code !== 'ended' && code !== 'recycled') throw error;
    }
  }
}

function isDisconnected(error: unknown): boolean {
  const code = error instanceof GuestError ? error.fault.code : null;
  return code === 'monitor-lost' || code === 'monitor-unreachable';
}
