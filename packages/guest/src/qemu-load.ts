// Loading a device state into a QEMU that waits for it (-incoming defer). It works once in a QEMU's life: whatever fails
// leaves a QEMU that must be ended. Until 9.1 a QEMU that cannot load its state ends by itself, and tells its log why.
import { sendState, withSocketPath } from './device-state-socket.ts';
import { GuestError } from './errors.ts';
import { queryMigrate, queryStatus } from './qemu-commands.ts';
import type { QemuContext } from './qemu-process.ts';
import { settingsForLoad } from './qemu-settings.ts';
import type { QmpClient } from './qmp-client.ts';

const POLL_MS = 2;

/**
 * Resolves when the state is loaded and the guest stands.
 * @throws GuestError `prepare-failed` with QEMU's reason, and what the monitor throws
 */
export async function loadState(client: QmpClient, bytes: Uint8Array, context: QemuContext): Promise<void> {
  await settingsForLoad(client);
  // Before a state comes in, `stop` only says that the guest does not start by itself when it is loaded, whatever the state
  // says of it (qmp_stop, autostart): it runs by `cont` alone.
  await client.execute('stop', {}, context.monitors.times.runStateMs);
  await withSocketPath(async (path) => {
    const { host, monitors } = context;
    await client.execute('migrate-incoming', { uri: `unix:${path}`, ...staying(client) });
    const stallMs = monitors.times.deviceStateMs;
    const endSending = await sendState(path, bytes, { host, pid: client.pid, stallMs });
    try {
      await waitUntilLoaded(client, context);
    } finally {
      endSending();
    }
  });
  const { status } = await queryStatus(client);
  if (status !== 'paused') throw failed(`after loading its run state is ${status}, not paused`);
}

/** So that it answers why it failed. */
function staying({ version: { major, minor } }: QmpClient): { 'exit-on-error'?: false } {
  return major > 9 || (major === 9 && minor >= 1) ? { 'exit-on-error': false } : {};
}

async function waitUntilLoaded(client: QmpClient, { clock, monitors }: QemuContext): Promise<void> {
  const timeoutMs = monitors.times.deviceStateMs;
  const deadline = clock.now() + timeoutMs;
  for (;;) {
    const info = await queryMigrate(client);
    if (info.status === 'completed') return;
    if (info.status === 'failed') throw failed(info['error-desc'] ?? 'QEMU gives no reason');
    if (clock.now() >= deadline)
      throw failed(`the state was not loaded within ${timeoutMs} ms; QEMU says ${info.status ?? 'nothing'}`);
    await clock.wait(POLL_MS);
  }
}

function failed(reason: string): GuestError {
  return new GuestError({ code: 'prepare-failed', reason });
}
