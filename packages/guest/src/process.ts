// A process as the guest of the source, paused by SIGSTOP and resumed by SIGCONT.
// SIGSTOP is asynchronous: a process inside a write went on for 44 ms (design, section 8). So paused means that every
// task was seen stopped after the signal, never that the signal was sent. Children of the process are not the guest.
import { GuestError } from './errors.ts';
import type { Clock, Guest, GuestIdentity, ProcessIdentity, RunState } from './guest.ts';
import { signalProcess, summarizeProcess } from './process-state.ts';
import type { Processes } from './process-state.ts';

/** Poll interval while a signal takes effect: the guest's pause is being counted. */
const POLL_MS = 1;

/** The source's guest when it is a process; `identity` is what it was when the migration began. */
export class ProcessGuest implements Guest {
  readonly type = 'process';
  readonly #identity: ProcessIdentity;
  readonly #processes: Processes;
  readonly #clock: Clock;
  readonly #pauseTimeoutMs: number;

  constructor(identity: ProcessIdentity, processes: Processes, clock: Clock, pauseTimeoutMs = 10_000) {
    this.#identity = identity;
    this.#processes = processes;
    this.#clock = clock;
    this.#pauseTimeoutMs = pauseTimeoutMs;
  }

  identity(): GuestIdentity {
    const { pid, startTime, bootId } = this.#identity;
    return { type: 'process', pid, startTime, bootId };
  }

  preflight(): Promise<readonly string[]> {
    return Promise.resolve(blockedReasons(this.#identity, this.#processes));
  }

  facts(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  blocks(): Promise<null> {
    return Promise.resolve(null);
  }

  /** A page that is written, discarded and read again is there and has no bit: nobody else can know. */
  unseenWrites(): Promise<readonly string[]> {
    return Promise.resolve(['the process may discard memory of its own and read it again (discards-memory)']);
  }

  async runState(): Promise<RunState> {
    const summary = summarizeProcess(this.#processes, this.#identity);
    if (summary === 'ended') throw new GuestError({ code: 'ended', pid: this.#identity.pid });
    return summary === 'all-stopped' ? 'paused' : 'running';
  }

  async pause(): Promise<void> {
    const deadline = this.#clock.now() + this.#pauseTimeoutMs;
    signalProcess(this.#processes, this.#identity, 'SIGSTOP');
    while ((await this.runState()) !== 'paused') {
      if (this.#clock.now() >= deadline)
        throw new GuestError({
          code: 'pause-timeout',
          pid: this.#identity.pid,
          timeoutMs: this.#pauseTimeoutMs,
        });
      await this.#clock.wait(POLL_MS);
    }
  }

  /** SIGCONT also removes a SIGSTOP that has not taken effect yet, so this undoes a pause that timed out. */
  async resume(): Promise<void> {
    signalProcess(this.#processes, this.#identity, 'SIGCONT');
  }

  async hold(): Promise<void> {
    signalProcess(this.#processes, this.#identity, 'SIGSTOP');
  }

  async release(): Promise<void> {
    signalProcess(this.#processes, this.#identity, 'SIGCONT');
  }

  saveDeviceState(): Promise<null> {
    return Promise.resolve(null);
  }

  /** The source's process is left stopped, whatever was asked for: it is not ours to end. */
  leave(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function blockedReasons(identity: ProcessIdentity, processes: Processes): readonly string[] {
  const { pid } = identity;
  if (pid === process.pid) return [`process ${pid} is this daemon`];
  // Its signals are not delivered: the kernel protects a namespace's first process from its own namespace.
  if (pid === 1) return ['process 1 cannot be stopped'];
  try {
    if (summarizeProcess(processes, identity) === 'ended') return [`process ${pid} has ended`];
    processes.signal(pid, 0);
  } catch (error) {
    return [
      error instanceof GuestError ? error.message : `process ${pid} cannot be signalled: ${String(error)}`,
    ];
  }
  const tracer = processes.tracerPid(pid);
  return tracer === 0
    ? []
    : [`process ${pid} is traced by process ${tracer}, which could run it while it is paused`];
}
