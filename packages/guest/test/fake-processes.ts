// One process that a test moves from state to state, and a clock that goes on only when somebody waits.
import type { Clock, GuestHost, ProcessIdentity } from '../src/guest.ts';
import type { GuestSignal, Processes, TaskSummary } from '../src/process-state.ts';

export const identity: ProcessIdentity = { pid: 7, startTime: 4242, bootId: 'boot' };

/** For guests that never ask their host. */
export const noHost: GuestHost = {
  peerPid() {
    throw new Error('no socket was to be asked');
  },
};

/** Has one process; `summaries` are what it answers one after the other, the last one for ever. */
export class FakeProcesses implements Processes {
  readonly signals: (readonly [number, GuestSignal | 0])[] = [];
  boot = identity.bootId;
  summaries: TaskSummary[] = ['some-running'];
  arguments: readonly string[] = ['guest'];
  tracer = 0;
  failure: Error | null = null;

  bootId(): string {
    return this.boot;
  }

  identityOf(pid: number): ProcessIdentity | null {
    return pid === identity.pid ? { ...identity, bootId: this.boot } : null;
  }

  summarizeTasks(): TaskSummary {
    return (this.summaries.length > 1 ? this.summaries.shift() : this.summaries[0]) ?? 'ended';
  }

  commandLine(): readonly string[] {
    return this.arguments;
  }

  tracerPid(): number {
    return this.tracer;
  }

  signal(pid: number, signal: GuestSignal | 0): void {
    if (this.failure !== null) throw this.failure;
    this.signals.push([pid, signal]);
  }
}

/** Time passes by waiting, so a time-out of seconds takes none. */
export class FakeClock implements Clock {
  #nowMs = 0;

  now(): number {
    return this.#nowMs;
  }

  wait(milliseconds: number): Promise<void> {
    this.#nowMs += milliseconds;
    return Promise.resolve();
  }
}
