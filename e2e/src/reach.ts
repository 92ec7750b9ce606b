/** Brings a migration into a phase and keeps it there, by caps and held messages: no sleep, no hook in a daemon. */
import { signalIfThere } from '@pageferry/scripts/harness';
import type { Hold, MessageName } from './hold.ts';
import type { MigrateRequest } from '@pageferry/scripts/harness';
import type { Rig } from './rig.ts';

/** Bytes a second that keep a bulk stage going for as long as a test takes. */
const SLOW_BANDWIDTH = 2 ** 20;

type Parameters = MigrateRequest['parameters'];
/** What keeps the phase, where something is held. */
export type Reached = Hold | undefined;

/** In the bulk stage, some pages sent, most of them not. */
export async function reachBulk(rig: Rig, parameters: Parameters = {}): Promise<undefined> {
  await rig.migrate({ parameters: { 'max-bandwidth': SLOW_BANDWIDTH, ...parameters } });
  await rig.source.api.until('some coverage', ({ pageferry }) => pageferry.coverage > 0);
  return undefined;
}

/** In round 1, pages of it at the proxy. The guest is given the time to change some. */
export async function reachLaterRound(rig: Rig, parameters: Parameters = {}): Promise<Hold> {
  const bulkEnd = rig.proxy.hold('round-result');
  await rig.migrate({ parameters: { 'min-rounds': 1, ...parameters } });
  await bulkEnd.arrived;
  await rig.workload.untilItWrites();
  const pages = rig.proxy.hold('pages');
  bulkEnd.release();
  await pages.arrived;
  return pages;
}

/** The guest is paused, nothing of the final round was sent. */
export async function reachPreSwitchover(rig: Rig, parameters: Parameters = {}): Promise<undefined> {
  await rig.migrate({ capabilities: { 'pause-before-switchover': true }, parameters });
  await rig.source.api.until('pre-switchover', ({ status }) => status === 'pre-switchover');
  return undefined;
}

/** In the final round at the source, whose engine is stopped before it can send any of it. */
export async function reachStartOfFinalRound(rig: Rig): Promise<void> {
  await reachPreSwitchover(rig);
  const { pageferry } = await rig.source.api.status();
  if (pageferry.engine === undefined) throw new Error('the status names no engine');
  signalIfThere(pageferry.engine.pid, 'SIGSTOP');
  await rig.source.api.continue();
  await rig.source.api.until('the final round', ({ pageferry: { phase } }) => phase === 'final-round');
}

/** In the final round at the destination: its end is at the proxy, the source has sent everything. */
export async function reachEndOfFinalRound(rig: Rig, parameters: Parameters = {}): Promise<Hold> {
  await reachPreSwitchover(rig, parameters);
  const hold = rig.proxy.hold('stream-round-end');
  await rig.source.api.continue();
  await hold.arrived;
  return hold;
}

/** Where one side waits for this message. */
export async function reachMessage(rig: Rig, name: MessageName, parameters: Parameters = {}): Promise<Hold> {
  const hold = rig.proxy.hold(name);
  await rig.migrate({ parameters });
  await hold.arrived;
  return hold;
}
