// One migration between two daemons, from POST /incoming to its end, by the management API alone.
import { setTimeout as wait } from 'node:timers/promises';
import type { MigrationStatus } from '@pageferry/protocol';
import type { IncomingRequest, MigrateRequest } from './api.ts';
import { Daemon } from './daemons.ts';
import type { Workspace } from './workspace.ts';

export interface Daemons {
  readonly source: Daemon;
  readonly destination: Daemon;
}

/** Both bodies, without what only the answer of the first one tells. */
export interface MigrationRequest {
  readonly incoming: Omit<IncomingRequest, 'listen'>;
  readonly migrate: Omit<MigrateRequest, 'uri' | 'token'>;
}

/** Starts both daemons in a workspace, which ends them. */
export async function startDaemons(
  workspace: Workspace,
  guestCommands: Readonly<Record<string, readonly string[]>>,
): Promise<Daemons> {
  const { path } = workspace;
  const common = { directory: path, imageRoot: path, qmpRoot: path, logLevel: 'info' } as const;
  const daemons = {
    source: new Daemon({ ...common, side: 'source' }),
    destination: new Daemon({ ...common, side: 'destination', guestCommands }),
  };
  for (const daemon of [daemons.source, daemons.destination]) {
    await daemon.start();
    workspace.onClose(() => daemon.stop());
  }
  return daemons;
}

/** Arms the destination on a free port; resolves with the body of POST /migrate. */
export async function arm(
  { destination }: Daemons,
  { incoming, migrate }: MigrationRequest,
): Promise<MigrateRequest> {
  const { uri, token } = await destination.api.incoming({ listen: 'tcp:127.0.0.1:0', ...incoming });
  return { uri, token, ...migrate };
}

/** Polls the source until the end; `intervalMs` may depend on the last answer, `onStatus` sees every one. Throws if it did not complete. */
export async function awaitCompleted(
  { source }: Daemons,
  intervalMs: number | ((status: MigrationStatus) => number),
  onStatus: (status: MigrationStatus) => void = () => undefined,
): Promise<MigrationStatus> {
  for (;;) {
    const status = await source.api.status();
    onStatus(status);
    if (status.status === 'completed') return status;
    if (status.status === 'failed' || status.status === 'cancelled')
      throw new Error(`the migration ${status.status}: ${status['error-desc'] ?? 'no reason given'}`);
    await wait(typeof intervalMs === 'number' ? intervalMs : intervalMs(status));
  }
}
