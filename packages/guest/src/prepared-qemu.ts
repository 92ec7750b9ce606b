// The destination's QEMU, known by nothing but its identity: this is what a restarted daemon has.
// Invariant: `refused` only when the guest certainly never ran. A loaded guest stands in run state paused with its disks
// not taken; that state left by anything but `cont` does not exist, so `cont` answered by an error and still paused is
// proof. Everything else about a QEMU that is gone or silent after an order is not.
import { GuestError } from './errors.ts';
import type { GuestBlock, IncomingGuest, IncomingGuestIdentity } from './guest.ts';
import type { ResumeOrder, ResumeOutcome } from './guest.ts';
import { queryStatus } from './qemu-commands.ts';
import { readFacts } from './qemu-facts.ts';
import { ANNOUNCEMENT, unlessRefused } from './qemu-guest.ts';
import { readMemory } from './qemu-memory.ts';
import { QemuProcess, type QemuContext } from './qemu-process.ts';
import { settingsAfterLoad } from './qemu-settings.ts';
import type { QmpClient } from './qmp-client.ts';

export type IncomingQemuIdentity = Extract<IncomingGuestIdentity, { type: 'qemu' }>;

/** States of a QEMU whose guest has not run in it: it waits for its state, or has it. */
const NEVER_RAN = new Set(['inmigrate', 'paused']);

const CRASHED = 'the guest was told to run, and its QEMU has ended since: it crashed, or was killed';

export class PreparedQemu implements IncomingGuest {
  readonly type = 'qemu';
  readonly #identity: IncomingQemuIdentity;
  readonly #qemu: QemuProcess;
  readonly #context: QemuContext;

  constructor(identity: IncomingQemuIdentity, context: QemuContext) {
    const { qmp, pid, startTime, bootId } = identity;
    this.#identity = identity;
    this.#qemu = new QemuProcess({ pid, startTime, bootId }, qmp, context);
    this.#context = context;
  }

  preflight(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  open(): Promise<IncomingGuestIdentity> {
    return Promise.resolve(this.#identity);
  }

  facts(): Promise<readonly string[]> {
    return this.#qemu.use(async (client) => readFacts(client, await readMemory(client)));
  }

  blocks(): Promise<readonly GuestBlock[]> {
    return this.#qemu.use(async (client) => (await readMemory(client)).shared);
  }

  prepare(): Promise<IncomingGuestIdentity> {
    return Promise.reject(new GuestError({ code: 'prepare-failed', reason: 'it was prepared already' }));
  }

  /** Throws what the monitor throws when nothing is known: the call can then be repeated, as another order. */
  async resume({ isFirstOrder }: ResumeOrder): Promise<ResumeOutcome> {
    let wasOrdered = !isFirstOrder;
    const order = (): Promise<ResumeOutcome> =>
      this.#qemu.use((client) => this.#continue(client, () => (wasOrdered = true)));
    try {
      return await order();
    } catch (error) {
      if (isEnded(error)) return ended(wasOrdered);
      if (!isConnectionLost(error)) throw error;
    }
    // The connection broke somewhere between order and answer. A new one shows what came of it; `cont` is idempotent.
    try {
      return await order();
    } catch (error) {
      if (isEnded(error)) return ended(wasOrdered);
      throw error;
    }
  }

  destroy(): Promise<void> {
    return this.#qemu.end();
  }

  /** Ends a QEMU that was started for a state which never came; a loaded one is ended by `destroy` alone. */
  async close(): Promise<void> {
    if (!this.#identity.isOurs || this.#qemu.hasEnded()) return;
    const { status } = await this.#qemu.use(queryStatus);
    if (status === 'inmigrate') await this.#qemu.end();
  }

  async #continue(client: QmpClient, ordered: () => void): Promise<ResumeOutcome> {
    const before = await queryStatus(client);
    // It may be that an earlier order was carried out and its answer lost: the network may not know yet.
    if (before.running) return { outcome: 'running', note: await announce(client) };
    // In this state `cont` is no error: it would let the guest run as soon as a state is loaded.
    if (before.status === 'inmigrate') return { outcome: 'refused', reason: 'its state was never loaded' };
    if (!NEVER_RAN.has(before.status))
      return { outcome: 'running', note: `its run state is ${before.status}` };
    try {
      ordered();
      await client.execute('cont', {}, this.#context.monitors.times.runStateMs);
    } catch (error) {
      return this.#judgeError(client, error);
    }
    const after = await queryStatus(client);
    const notAnnounced = await announce(client);
    await unlessRefused(settingsAfterLoad(client));
    return { outcome: 'running', note: after.running ? notAnnounced : `its run state is ${after.status}` };
  }

  async #judgeError(client: QmpClient, error: unknown): Promise<ResumeOutcome> {
    if (!(error instanceof GuestError) || error.fault.code !== 'command-failed') throw error;
    const { status, running } = await queryStatus(client);
    if (!running && NEVER_RAN.has(status)) return { outcome: 'refused', reason: error.message };
    return { outcome: 'running', note: `${error.message}; its run state is ${status}` };
  }
}

/** The network learns where the guest is now. Why it could not be told, or `null`. */
async function announce(client: QmpClient): Promise<string | null> {
  try {
    await client.execute('announce-self', ANNOUNCEMENT);
    return null;
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    return `it was not announced: ${error.message}`;
  }
}

function ended(wasOrdered: boolean): ResumeOutcome {
  return wasOrdered
    ? { outcome: 'running', note: CRASHED }
    : { outcome: 'refused', reason: 'its QEMU ended before it was told to run' };
}

function isEnded(error: unknown): boolean {
  return error instanceof GuestError && error.fault.code === 'ended';
}

function isConnectionLost(error: unknown): boolean {
  return error instanceof GuestError && error.fault.code === 'monitor-lost';
}
