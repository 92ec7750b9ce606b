// One migration between two daemons, from POST /incoming to its end, by the management API alone.
import { setTimeout as wait } from 'node:timers/promises';
import type { DestinationBlock, MigrationStatus, SourceBlock } from '@pageferry/protocol';
import type { Daemon } from './daemon.ts';

export interface Daemons {
  readonly source: Daemon;
  readonly destination: Daemon;
}

/** Bodies as they are sent, so with QMP's names; what is absent has its default. */
export interface MigrationRequest {
  readonly incoming: {
    readonly listen?: string;
    readonly blocks: readonly Partial<DestinationBlock>[];
    readonly [field: string]: unknown;
  };
  readonly migrate: { readonly blocks: readonly SourceBlock[]; readonly [field: string]: unknown };
}

/** Arms the destination on a free port. Resolves with the rest of the body of POST /migrate. */
export async function arm({ destination }: Daemons, { incoming, migrate }: MigrationRequest) {
  const { uri, token } = await destination.api.call('incoming', {
    listen: 'tcp:127.0.0.1:0',
    ...incoming,
  });
  return { uri, token, ...migrate };
}

/** Arms the destination and starts the migration; resolves when it was accepted. */
export async function startMigration(daemons: Daemons, request: MigrationRequest) {
  const body = await arm(daemons, request);
  return daemons.source.api.call('migrate', body);
}

/** Whether nothing more will happen. */
export function isOver({ status }: MigrationStatus): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/** Polls the source until the end; `onStatus` sees every answer. Throws if it did not complete. */
export async function awaitCompleted(
  { source }: Daemons,
  intervalMs: number,
  onStatus: (status: MigrationStatus) => void = () => undefined,
): Promise<MigrationStatus> {
  for (;;) {
    const status = await source.status();
    onStatus(status);
    if (status.status === 'completed') return status;
    if (isOver(status)) throw new Error(`the migration ${status.status}: ${status['error-desc'] ?? ''}`);
    await wait(intervalMs);
  }
}
