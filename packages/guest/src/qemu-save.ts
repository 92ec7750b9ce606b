// Saving a paused QEMU's device state: its own migration, through a UNIX socket, without the memory on shared files.
// Invariant: when this returns or throws, no migration is under way in that QEMU, unless it does not answer any more.
import { StateReceiver, withSocketPath } from './device-state-socket.ts';
import { GuestError } from './errors.ts';
import { queryMigrate, queryStatus } from './qemu-commands.ts';
import { isMigrationUnderWay } from './qemu-preflight.ts';
import type { QemuContext } from './qemu-process.ts';
import type { QmpClient } from './qmp-client.ts';

/** The guest's pause is being counted. */
const POLL_MS = 2;

export interface SaveOptions {
  readonly limitBytes: number;
  /** Throws once the guest is to run: QEMU would migrate it as it runs, and stop it at the end. */
  readonly checkPaused: () => void;
}

/**
 * The whole state in memory, at most `limitBytes`; after `assertCanSave`.
 * @throws GuestError `device-state-failed` with QEMU's reason, `device-state-too-large`, and what the monitor throws
 */
export async function saveState(
  client: QmpClient,
  { limitBytes, checkPaused }: SaveOptions,
  context: QemuContext,
): Promise<Uint8Array> {
  return withSocketPath(async (path) => {
    const { host, monitors } = context;
    const stallMs = monitors.times.deviceStateMs;
    const receiver = await StateReceiver.listen(path, { host, pid: client.pid, stallMs, limitBytes });
    try {
      checkPaused();
      await client.execute('migrate', { uri: `unix:${path}` });
      const bytes = await Promise.race([
        receiver.bytes,
        endOfFailure(client, receiver, checkPaused, context),
      ]);
      await completion(client, checkPaused, context);
      return bytes;
    } catch (error) {
      await cancelMigration(client, context).catch(() => undefined);
      throw error;
    } finally {
      receiver.close();
    }
  });
}

/** QEMU would let a guest that runs go on while it is saved. @throws GuestError `device-state-failed` */
export async function assertCanSave(client: QmpClient): Promise<void> {
  const { running, status } = await queryStatus(client);
  if (running) throw failed('the guest is not paused');
  if (status === 'postmigrate') throw failed('it was saved before, and the guest was not resumed since');
}

/** Stops a migration that is under way, and resolves when none is. */
export async function cancelMigration(client: QmpClient, { clock, monitors }: QemuContext): Promise<void> {
  if (!client.isOpen || !isMigrationUnderWay((await queryMigrate(client)).status)) return;
  await client.execute('migrate_cancel');
  const timeoutMs = monitors.times.deviceStateMs;
  const deadline = clock.now() + timeoutMs;
  for (;;) {
    const { status } = await queryMigrate(client);
    if (!isMigrationUnderWay(status)) return;
    if (clock.now() >= deadline)
      throw failed(`it was cancelled, but ${status ?? 'under way'} still after ${timeoutMs} ms`);
    await clock.wait(POLL_MS);
  }
}

/** Never resolves; throws when QEMU says that it failed before it sent everything, does not begin, or is to run. */
async function endOfFailure(
  client: QmpClient,
  receiver: StateReceiver,
  checkPaused: () => void,
  { clock, monitors }: QemuContext,
): Promise<never> {
  const deadline = clock.now() + monitors.times.deviceStateMs;
  while (!receiver.isSettled) {
    checkPaused();
    const info = await queryMigrate(client);
    if (info.status === 'failed' || info.status === 'cancelled') throw migrationFailed(info);
    // Once bytes come the receiver watches that they go on.
    if (!receiver.isConnected && clock.now() >= deadline)
      throw failed('QEMU did not connect to hand over its state');
    await clock.wait(POLL_MS);
  }
  return new Promise(() => undefined);
}

async function completion(
  client: QmpClient,
  checkPaused: () => void,
  { clock, monitors }: QemuContext,
): Promise<void> {
  const timeoutMs = monitors.times.deviceStateMs;
  const deadline = clock.now() + timeoutMs;
  for (;;) {
    checkPaused();
    const info = await queryMigrate(client);
    if (info.status === 'completed') return;
    if (!isMigrationUnderWay(info.status)) throw migrationFailed(info);
    if (clock.now() >= deadline)
      throw failed(`everything was sent, but it is ${info.status} after ${timeoutMs} ms`);
    await clock.wait(POLL_MS);
  }
}

function migrationFailed(info: Awaited<ReturnType<typeof queryMigrate>>): GuestError {
  return failed(`QEMU says ${info.status ?? 'nothing'}: ${info['error-desc'] ?? 'no reason was given'}`);
}

function failed(reason: string): GuestError {
  return new GuestError({ code: 'device-state-failed', reason });
}
