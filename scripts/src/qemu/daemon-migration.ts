/** A guest moved by the project's daemons, there and back: both images compared, if that is wanted, before it goes on. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { MigrationStatus } from '@pageferry/protocol';
import type { MigrateRequest } from '../harness/api.ts';
import { arm, awaitCompleted, startDaemons, type Daemons } from '../harness/migration.ts';
import type { Workspace } from '../harness/workspace.ts';
import { PLACES, type GuestPair, type PlaceName } from './guest-pair.ts';

const run = promisify(execFile);
const POLL_MS = 20;

export interface MoveOptions {
  readonly parameters: NonNullable<MigrateRequest['parameters']>;
  /** Sees every answer of GET /status. */
  readonly onStatus?: (status: MigrationStatus) => void;
}

/** What cmp said of both images while nobody ran in them, and how long that took, milliseconds. */
export interface Comparison {
  readonly verdict: string;
  readonly ms: number;
}

/** Daemons whose destination can start the guest's QEMU at either place. */
export async function startQemuDaemons(workspace: Workspace, pair: GuestPair): Promise<Daemons> {
  const commands = PLACES.map((place) => [commandName(place), pair.command(place, true)] as const);
  return startDaemons(workspace, Object.fromEntries(commands));
}

/** Resolves with the source's last status when the guest runs at the other place. Throws if it does not come to that. */
export async function migrateByDaemons(
  daemons: Daemons,
  pair: GuestPair,
  from: PlaceName,
  to: PlaceName,
  { parameters, onStatus }: MoveOptions,
): Promise<MigrationStatus> {
  const body = await arm(daemons, {
    incoming: { guest: { type: 'qemu', qmp: pair.monitor(to).user, command: commandName(to) } },
    migrate: {
      guest: { type: 'qemu', qmp: pair.monitor(from).user, 'on-complete': 'quit' },
      parameters,
    },
  });
  await daemons.source.api.migrate(body);
  return awaitCompleted(daemons, POLL_MS, onStatus);
}

/** Compares the images once, when the guest at that place is told to run; what is given waits for that. */
export function comparisonBeforeRunning(pair: GuestPair, place: PlaceName): Promise<Comparison> {
  return new Promise((resolve) => {
    pair.beforeCommand = async (sight) => {
      if (sight.command !== 'cont' || sight.place !== place) return true;
      pair.beforeCommand = async () => true;
      const startMs = performance.now();
      const verdict = await run('cmp', [pair.image('a'), pair.image('b')]).then(
        () => 'identical',
        (error: unknown) => String(error),
      );
      resolve({ verdict, ms: performance.now() - startMs });
      return true;
    };
  });
}

function commandName(place: PlaceName): string {
  return `at-${place}`;
}
