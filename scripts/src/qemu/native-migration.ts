/**
 * A guest moved by QEMU alone, by its monitors: RAM and device state through QEMU's own migration, xbzrle on, without a
 * cap. What the project's own migrations are compared with.
 *
 * Without KVM, QEMU before 9.0 loses writes in its own migration of a block of RAM whose size is a multiple of 256 KiB:
 * the short cut by which it reads its dirty log 64 pages at a time does not make the translated code log again (QEMU
 * 03bfc2188f, 2024). Five of seven guests of 1 GiB that 7.2 moved panicked; with 8 KiB more memory,
 * of which no whole word of the log can be made, 8 of 8 moves were right. Hence `COMPARABLE_EXTRA_BYTES`.
 */
import { z } from 'zod';
import { eventually } from '../harness/wait.ts';
import type { GuestPair, PlaceName } from './guest-pair.ts';
import { Monitor } from './monitor.ts';

/** What a guest's RAM must have beyond a multiple of 256 KiB for QEMU's own migration to be right, bytes. */
export const COMPARABLE_EXTRA_BYTES = 8192;

const migration = z.object({
  status: z.string().optional(),
  'error-desc': z.string().optional(),
  'total-time': z.number().optional(),
  downtime: z.number().optional(),
  'socket-address': z.array(z.object({ host: z.string(), port: z.string() })).optional(),
});
export type NativeMigration = z.output<typeof migration>;

const PARAMETERS = { 'max-bandwidth': 0, 'xbzrle-cache-size': 64 * 2 ** 20, 'downtime-limit': 300 };
/** A QEMU that took a guest from the daemons may still leave shared memory out. */
const CAPABILITIES = [
  { capability: 'xbzrle', state: true },
  { capability: 'x-ignore-shared', state: false },
  { capability: 'late-block-activate', state: false },
];

/** Starts the other QEMU, moves the guest there, and ends the first. Throws if QEMU says that it failed. */
export async function migrateByQemu(
  pair: GuestPair,
  from: PlaceName,
  to: PlaceName,
): Promise<NativeMigration> {
  const destinationProcess = await pair.start(to, true);
  const destination = await Monitor.connect(pair.monitor(to).user);
  const source = await Monitor.connect(pair.monitor(from).user);
  try {
    for (const monitor of [source, destination]) {
      await monitor.execute('migrate-set-capabilities', { capabilities: CAPABILITIES });
      await monitor.execute('migrate-set-parameters', PARAMETERS);
    }
    await destination.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:0' });
    const { 'socket-address': addresses = [] } = await ask(destination);
    const [address] = addresses;
    if (address === undefined) throw new Error('QEMU does not say where it listens');
    await source.execute('migrate', { uri: `tcp:${address.host}:${address.port}` });
    const result = await eventually(
      "the end of QEMU's migration",
      async () => {
        const found = await ask(source);
        if (found.status === 'failed')
          throw new Error(`QEMU's migration failed: ${found['error-desc'] ?? 'it does not say why'}`);
        // The times come a moment after the word.
        return found.status === 'completed' && (found['total-time'] ?? 0) > 0 ? found : undefined;
      },
      () => destinationProcess.lines.join('\n'),
    );
    await source.quit();
    return result;
  } finally {
    source.close();
    destination.close();
  }
}

async function ask(monitor: Monitor): Promise<NativeMigration> {
  return migration.parse(await monitor.execute('query-migrate'));
}
