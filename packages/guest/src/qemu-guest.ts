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
import { setBack, settingsForSave } from './qemu-settings.ts';
import { findUnseenWrites } from './qemu-unseen.ts';
import type { QmpClient } from './qmp-client.ts';
import type { SaveRecord } from './save-record.ts';

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
  readonly #record: SaveRecord;

  constructor({ qmp, pid, startTime, bootId }: QemuIdentity, context: QemuContext) {
    const identity = { pid, startTime, bootId };
    this.#qemu = new QemuProcess(identity, qmp, context);
    this.#context = context;
    this.#record = context.saves.of(identity, qmp);
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
    if (isRunning) throw new GuestError({ code: 'continued', pid: this.#qemu.identity.pid });
  }

  /**
   * A save that is under way is given up. Settings are set back when it has ended, as it may still be changing them.
   * @throws GuestError `resume-failed` with QEMU's reason, `ended`
   */
  resume(): Promise<void> {
    const record = this.#record;
    return record.resume(() =>
      this.#qemu.use(async (client) => {
        // Also under a guest that runs already: QEMU would stop it when everything is sent.
        if (record.isSaving) await cancelMigration(client, this.#context);
        if (!(await queryStatus(client)).running) await this.#continueAndAnnounce(client);
        await record.savesEnded();
        if (record.former !== null) await unlessRefused(setBack(client, record.former));
        record.former = null;
      }),
    );
  }

  hold(): Promise<void> {
    const { runStateMs } = this.#context.monitors.times;
    return this.#qemu.use(async (client) => void (await client.execute('stop', {}, runStateMs)));
  }

  release(): Promise<void> {
    return this.#qemu.use((client) => this.#continue(client));
  }

  /** The monitor is kept from here on: it tells when somebody else lets the guest go on. */
  saveDeviceState(limitBytes: number): Promise<DeviceState> {
    const record = this.#record;
    this.keepMonitor();
    return record.save((checkPaused) =>
      this.#qemu.use(async (client) => {
        record.watch(client);
        const { status } = await queryStatus(client);
        const kept = record.kept(client);
        if (status === 'postmigrate' && kept !== null) return kept;
        await assertCanSave(client);
        record.former ??= await settingsForSave(client);
        const bytes = await saveState(client, { limitBytes, checkPaused }, this.#context);
        checkPaused();
        const state = { format: DEVICE_STATE_FORMAT, bytes };
        record.keep(state, client);
        return state;
      }),
    );
  }

  async leave(action: 'quit' | 'leave'): Promise<void> {
    this.#record.forget();
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
