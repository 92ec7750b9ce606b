/**
 * An operator who cannot leave a migration alone: changes caches and parameters as it comes along. What it waits for
 * is always progress of the migration, seen in its status, or its end.
 */
import type { MigrationStatus } from '@pageferry/protocol';
import { eventually, type ApiClient } from '@pageferry/scripts/harness';
import type { Change } from './plan.ts';

export class Meddler {
  readonly #source: ApiClient;
  readonly #destination: ApiClient;

  constructor(source: ApiClient, destination: ApiClient) {
    this.#source = source;
    this.#destination = destination;
  }

  /** Makes the changes, one after each bit of progress, as long as there is any. Gives how many it made. */
  async makeChanges(changes: readonly Change[]): Promise<number> {
    let count = 0;
    for (const change of changes) {
      if (!(await this.waitForSteps(1))) return count;
      await this.#make(change);
      count += 1;
    }
    return count;
  }

  /** Resolves with true after so many bits of progress, with false if the migration is over before. */
  async waitForSteps(count: number): Promise<boolean> {
    for (let step = 0; step < count; step += 1) {
      const before = progressOf(await this.#source.status());
      if (before === undefined) return false;
      const now = await eventually('progress', async () => {
        const progress = progressOf(await this.#source.status());
        return progress === before ? undefined : { progress };
      });
      if (now.progress === undefined) return false;
    }
    return true;
  }

  async #make(change: Change): Promise<void> {
    switch (change.type) {
      case 'cache-size':
        await (change.side === 'source' ? this.#source : this.#destination).setCacheSize(change.bytes);
        break;
      case 'max-bandwidth':
        await this.#source.setParameters({ 'max-bandwidth': change.bytesPerSecond });
        break;
      case 'downtime-limit':
        await this.#source.setParameters({ 'downtime-limit': change.ms });
        break;
    }
  }
}

/** Another text whenever it has come further; undefined when it is over. */
function progressOf({ status, pageferry }: MigrationStatus): string | undefined {
  if (status === 'completed' || status === 'failed' || status === 'cancelled') return undefined;
  return `${pageferry.phase} ${pageferry.round} ${pageferry.coverage}`;
}
