/** Waits until both sides of a migration have come to rest after a fault; where they do not, the operator steps in. */
import { setTimeout as pause } from 'node:timers/promises';
import type { MigrationStatus, StatusWord } from '@pageferry/protocol';
import { eventually, PATIENCE, RefusedError } from '@pageferry/scripts/harness';
import type { DaemonPair } from '../daemon-pair.ts';

/** Longer than every time-out of a run together. */
const PATIENCE_MS = 30_000 * PATIENCE;
const POLL_MS = 10 * PATIENCE;
const OVER: ReadonlySet<StatusWord> = new Set(['none', 'completed', 'failed', 'cancelled']);

export interface Rest {
  readonly source: MigrationStatus;
  readonly destination: MigrationStatus;
  /** Phases of both sides in which they had to be ended by hand; undefined if they came to rest by themselves. */
  readonly stuckIn: string | undefined;
}

/** @throws Error if they do not come to rest, not even by the operator's word. */
export async function untilAtRest(pair: DaemonPair): Promise<Rest> {
  const rest = await atRestWithin(pair, PATIENCE_MS);
  if (isAtRest(rest)) return { ...rest, stuckIn: undefined };
  const stuckIn = phasesOf(rest);
  await endByHand(pair);
  const end = await atRestWithin(pair, PATIENCE_MS);
  if (isAtRest(end)) return { ...end, stuckIn };
  throw new Error(`no rest: ${stuckIn}, by hand: ${phasesOf(end)}`);
}

/** Resolves when the destination can be armed; where it still is, it is disarmed. */
export async function untilDisarmed({ destination }: DaemonPair): Promise<void> {
  await eventually('a destination that can be armed', async () => {
    const { status, pageferry } = await destination.api.status();
    if (OVER.has(status) || pageferry.phase === 'interrupted') return true;
    // A hello that was under way may come first.
    if (pageferry.phase === 'armed') await unlessRefused(async () => destination.api.abort());
    return undefined;
  });
}

type Statuses = Pick<Rest, 'source' | 'destination'>;

async function atRestWithin(pair: DaemonPair, patienceMs: number): Promise<Statuses> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const source = await pair.source.api.status();
    const destination = await pair.destination.api.status();
    const statuses = { source, destination };
    if (isAtRest(statuses) || performance.now() > deadlineMs) return statuses;
    if (source.status === 'pre-switchover') await unlessRefused(async () => pair.source.api.continue());
    await pause(POLL_MS);
  }
}

/**
 * A destination that no source came to stays armed, and one whose source could not tell it that none comes back stays
 * interrupted: another migration can be armed there.
 */
function isAtRest({ source, destination }: Statuses): boolean {
  const { phase } = destination.pageferry;
  return (
    OVER.has(source.status) && (OVER.has(destination.status) || phase === 'armed' || phase === 'interrupted')
  );
}

async function endByHand({ source, destination }: DaemonPair): Promise<void> {
  await unlessRefused(async () => source.api.cancel());
  const id = (await destination.api.status()).pageferry['migration-id'];
  await unlessRefused(async () => destination.api.abort(id));
}

async function unlessRefused(order: () => Promise<unknown>): Promise<void> {
  try {
    await order();
  } catch (error) {
    // It has ended meanwhile.
    if (!(error instanceof RefusedError)) throw error;
  }
}

function phasesOf({ source, destination }: Statuses): string {
  return `source ${source.pageferry.phase}, destination ${destination.pageferry.phase}`;
}
