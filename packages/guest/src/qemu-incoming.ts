// A QEMU as the guest of the destination: it is there and waits (-incoming defer) before pages come, gets its device state
// when they are all there, and stands loaded until it is told to run. Ours is started by the configured command, a fresh
// one for each attempt; the operator's own can take one migration in, as `migrate-incoming` works once in its life.
import { GuestError } from './errors.ts';
import type { DeviceState, GuestBlock, IncomingGuest, IncomingGuestIdentity } from './guest.ts';
import type { ProcessIdentity, ResumeOrder, ResumeOutcome } from './guest.ts';
import { resolveMonitorPath } from './monitor-path.ts';
import { PreparedQemu, type IncomingQemuIdentity } from './prepared-qemu.ts';
import { DEVICE_STATE_FORMAT } from './qemu-guest.ts';
import { launchQemu, launchReasons, type LaunchOptions } from './qemu-launcher.ts';
import { loadState } from './qemu-load.ts';
import { incomingReasons } from './qemu-preflight.ts';
import { QemuProcess, type QemuContext } from './qemu-process.ts';

export interface IncomingQemuOptions {
  readonly qmp: string;
  /** Program and arguments; `null` for the operator's own QEMU. */
  readonly command: readonly string[] | null;
  /** Takes the log of a QEMU that is started. */
  readonly directory: string;
}

interface Opened {
  readonly identity: IncomingQemuIdentity;
  readonly qemu: QemuProcess;
  readonly guest: PreparedQemu;
  readonly lastOutput: () => Promise<string>;
}

export class IncomingQemuGuest implements IncomingGuest {
  readonly type = 'qemu';
  readonly #options: IncomingQemuOptions;
  readonly #context: QemuContext;
  #opening: Promise<Opened> | null = null;
  /** A state was given to it: it holds a guest now, or a part of one. */
  #isTold = false;

  constructor(options: IncomingQemuOptions, context: QemuContext) {
    this.#options = options;
    this.#context = context;
  }

  async preflight(): Promise<readonly string[]> {
    const { command, directory } = this.#options;
    const qmp = await resolveMonitorPath(this.#options.qmp, null);
    if (command !== null) return launchReasons({ command, directory, qmp });
    return this.#context.monitors.use(qmp, incomingReasons);
  }

  async open(launched?: (command: ProcessIdentity) => void): Promise<IncomingGuestIdentity> {
    return (await this.#opened(launched)).identity;
  }

  async facts(): Promise<readonly string[]> {
    return (await this.#opened()).guest.facts();
  }

  async blocks(): Promise<readonly GuestBlock[]> {
    return (await this.#opened()).guest.blocks();
  }

  /** @throws GuestError `prepare-failed`, with what QEMU or its log says; the QEMU is of no use then */
  async prepare(state: DeviceState | null): Promise<IncomingGuestIdentity> {
    if (state?.format !== DEVICE_STATE_FORMAT)
      throw prepareFailed(
        `the source sent ${state === null ? 'no device state' : `a device state of ${state.format}`}`,
      );
    if (this.#isTold) throw prepareFailed('it was prepared already');
    const { identity, qemu, lastOutput } = await this.#opened();
    this.#isTold = true;
    try {
      await qemu.use((client) => loadState(client, state.bytes, this.#context));
      return identity;
    } catch (cause) {
      if (!(cause instanceof GuestError)) throw cause;
      const output = await lastOutput();
      const reason = cause.fault.code === 'prepare-failed' ? cause.fault.reason : cause.message;
      throw prepareFailed(output === '' ? reason : `${reason}; QEMU's last output: ${output}`, cause);
    }
  }

  async resume(order: ResumeOrder): Promise<ResumeOutcome> {
    if (!this.#isTold) throw new GuestError({ code: 'not-prepared' });
    return (await this.#opened()).guest.resume(order);
  }

  /** The operator's own QEMU is ended only if it was given a state. */
  async destroy(): Promise<void> {
    const opened = await this.#openedAlready();
    if (opened === null) return;
    if (opened.identity.isOurs || this.#isTold) await opened.qemu.end();
    opened.qemu.letGo();
  }

  async close(): Promise<void> {
    const opened = await this.#openedAlready();
    if (opened === null) return;
    if (opened.identity.isOurs && !this.#isTold) await opened.qemu.end();
    opened.qemu.letGo();
  }

  /** `null` also where it failed to open: nothing was left then. */
  async #openedAlready(): Promise<Opened | null> {
    return (await this.#opening?.catch(() => null)) ?? null;
  }

  /** What failed can be tried again. */
  async #opened(launched?: (command: ProcessIdentity) => void): Promise<Opened> {
    this.#opening ??= this.#open(launched);
    try {
      return await this.#opening;
    } catch (error) {
      this.#opening = null;
      throw error;
    }
  }

  async #open(launched: ((command: ProcessIdentity) => void) | undefined): Promise<Opened> {
    const { command, directory } = this.#options;
    const qmp = await resolveMonitorPath(this.#options.qmp, null);
    // Held meanwhile, so that there is one connection and not one after the other.
    const letGo = this.#context.monitors.hold(qmp);
    try {
      const opened = await (command === null
        ? this.#connect(qmp)
        : this.#launch({ command, directory, qmp }, launched));
      opened.qemu.hold();
      try {
        const reasons = await opened.qemu.use(incomingReasons);
        if (reasons.length > 0) throw new GuestError({ code: 'blocked', reasons });
      } catch (error) {
        if (opened.identity.isOurs) await opened.qemu.end();
        opened.qemu.letGo();
        throw error;
      }
      return opened;
    } finally {
      letGo();
    }
  }

  async #connect(qmp: string): Promise<Opened> {
    const pid = await this.#context.monitors.use(qmp, async (client) => client.pid);
    const found = this.#context.processes.identityOf(pid);
    if (found === null) throw new GuestError({ code: 'no-such-process', pid });
    return this.#openedAs({ type: 'qemu', qmp, isOurs: false, ...found }, () => Promise.resolve(''));
  }

  async #launch(
    options: LaunchOptions,
    launched: ((command: ProcessIdentity) => void) | undefined,
  ): Promise<Opened> {
    const { identity, lastOutput } = await launchQemu(options, this.#context, launched);
    return this.#openedAs({ type: 'qemu', qmp: options.qmp, isOurs: true, ...identity }, lastOutput);
  }

  #openedAs(identity: IncomingQemuIdentity, lastOutput: () => Promise<string>): Opened {
    const { qmp, pid, startTime, bootId } = identity;
    const qemu = new QemuProcess({ pid, startTime, bootId }, qmp, this.#context);
    return { identity, qemu, guest: new PreparedQemu(identity, this.#context), lastOutput };
  }
}

function prepareFailed(reason: string, cause?: GuestError): GuestError {
  return new GuestError({ code: 'prepare-failed', reason }, { cause });
}
