// A QEMU as the guest of the source: stop and cont by QMP, its device state by its own migration.
// After its state was saved a QEMU is in run state postmigrate and has given up its disks; `cont` takes them again,
// which fails while another QEMU has them. That lock is what keeps two guests from running on one disk.
import { GuestError } from './errors.ts';
import type { DeviceState, Guest, GuestBlock, GuestIdentity, RequestedBlock, RunState } from './guest.ts';
import { resolveMonitorPath } from './monitor-path.ts';
import { queryStatus } from './qemu-commands.ts';
import { readFacts } from './qemu-facts.ts';
import { readMemory } from './qemu-memory.ts';
import { sourceReasons } from './qemu-preflight.ts';
import { QemuProcess, type QemuContext } from './qemu-process.ts';
import { assertCanSave, cancelMigration, saveState } from './qemu-save.ts';
import { setBack, settingsForSave, type FormerSettings } from './qemu-settings.ts';
import { findUnseenWrites } from './qemu-unseen.ts';
import type { QmpClient } from './qmp-client.ts';

export const DEVICE_STATE_FORMAT = 'qemu';

/** QEMU's own defaults: five announcements, 50 to 550 ms apart. */
export const ANNOUNCEMENT = { initial: 50, max: 550, rounds: 5, step: 100 } as const;

type QemuIdentity = Extract<GuestIdentity, { type: 'qemu' }>;

/**
 * The guest of a monitor; it stays connected until `close`.
 * @throws GuestError `monitor-unreachable`, `monitor-busy` and the like
 */
export async function connectQemuGuest(path: string, context: QemuContext): Promise<QemuGuest> {
  const qmp = await resolveMonitorPath(path, null);
  const letGo = context.monitors.hold(qmp);
  try {
    const pid = await context.monitors.use(qmp, async (client) => client.pid);
    const found = context.processes.identityOf(pid);
    if (found === null) throw new GuestError({ code: 'no-such-process', pid });
    const guest = new QemuGuest({ type: 'qemu', qmp, ...found }, context);
    guest.keepMonitor();
    return guest;
  } finally {
    letGo();
  }
}

export class QemuGuest implements Guest {
  readonly type = 'qemu';
  readonly #qemu: QemuProcess;
  readonly #context: QemuContext;
  /** What the save has changed in this QEMU; known to this object only, so a restart of the daemon leaves it changed. */
  #former: FormerSettings | null = null;
  /** A QEMU gives its state once; a guest that was paused before keeps it through a rollback. */
  #saved: DeviceState | null = null;

  constructor({ qmp, pid, startTime, bootId }: QemuIdentity, context: QemuContext) {
    this.#qemu = new QemuProcess({ pid, startTime, bootId }, qmp, context);
    this.#context = context;
  }

  /** Stays connected between calls, until `close`. */
  keepMonitor(): void {
    this.#qemu.hold();
  }

  identity(): GuestIdentity {
    return { type: 'qemu', qmp: this.#qemu.qmp, ...this.#qemu.identity };
  }

  async preflight(requested: readonly RequestedBlock[] | null): Promise<readonly string[]> {
    this.keepMonitor();
    return this.#qemu.use((client) => sourceReasons(client, requested));
  }

  facts(): Promise<readonly string[]> {
    return this.#qemu.use(async (client) => readFacts(client, await readMemory(client)));
  }

  blocks(): Promise<readonly GuestBlock[]> {
    return this.#qemu.use(async (client) => (await readMemory(client)).shared);
  }

  unseenWrites(): Promise<readonly string[]> {
    return this.#qemu.use(findUnseenWrites);
  }

  async runState(): Promise<RunState> {
    return (await this.#isRunning()) ? 'running' : 'paused';
  }

  /** `stop` returns when the processors stand and the disks are drained; still it is asked whether that is so. */
  async pause(): Promise<void> {
    const timeoutMs = this.#context.monitors.times.runStateMs;
    const isRunning = await this.#qemu.use(async (client) => {
      await client.execute('stop', {}, timeoutMs);
      return (await queryStatus(client)).running;
    });
    if (isRunning) throw new GuestError({ code: 'pause-timeout', pid: this.#qemu.identity.pid, timeoutMs });
  }

  /** @throws GuestError `resume-failed` with QEMU's reason, `ended` */
  resume(): Promise<void> {
    return this.#qemu.use(async (client) => {
      if (!(await queryStatus(client)).running) await this.#continueAndAnnounce(client);
      this.#saved = null;
      if (this.#former !== null) await unlessRefused(setBack(client, this.#former));
      this.#former = null;
    });
  }

  hold(): Promise<void> {
    const { runStateMs } = this.#context.monitors.times;
    return this.#qemu.use(async (client) => void (await client.execute('stop', {}, runStateMs)));
  }

  release(): Promise<void> {
    return this.#qemu.use((client) => this.#continue(client));
  }

  async saveDeviceState(limitBytes: number): Promise<DeviceState> {
    this.#saved = await this.#qemu.use(async (client) => {
      const { status } = await queryStatus(client);
      if (status === 'postmigrate' && this.#saved !== null) return this.#saved;
      await assertCanSave(client);
      this.#former ??= await settingsForSave(client);
      const bytes = await saveState(client, limitBytes, this.#context);
      return { format: DEVICE_STATE_FORMAT, bytes };
    });
    return this.#saved;
  }

  async leave(action: 'quit' | 'leave'): Promise<void> {
    if (action === 'quit') await this.#qemu.end();
  }

  close(): Promise<void> {
    this.#qemu.letGo();
    return Promise.resolve();
  }

  async #isRunning(): Promise<boolean> {
    return (await this.#qemu.use(queryStatus)).running;
  }

  async #continueAndAnnounce(client: QmpClient): Promise<void> {
    await cancelMigration(client, this.#context);
    await this.#continue(client);
    const { running, status } = await queryStatus(client);
    if (!running) throw new GuestError({ code: 'resume-failed', reason: `its run state is ${status}` });
    await unlessRefused(client.execute('announce-self', ANNOUNCEMENT));
  }

  async #continue(client: QmpClient): Promise<void> {
    try {
      await client.execute('cont', {}, this.#context.monitors.times.runStateMs);
    } catch (cause) {
      if (!(cause instanceof GuestError) || cause.fault.code !== 'command-failed') throw cause;
      throw new GuestError({ code: 'resume-failed', reason: cause.fault.description }, { cause });
    }
  }
}

/** The guest runs: what QEMU refuses to do besides is no failure of that. */
export async function unlessRefused(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
  }
}
