/**
 * What a source daemon does first: finishes what the journal says was begun. A guest that the dead daemon paused
 * before the commit runs again; a commit is asked about until the destination's answer is known.
 */
import { guestFromIdentity } from '@pageferry/guest';
import { recoverSource, type Entry, type JournalWriter, type SourceRecord } from '@pageferry/handover';
import { parseTcpAddress } from '@pageferry/protocol';
import { endProcess } from '@pageferry/transport';
import type { Logger } from 'pino';
import { guestPorts } from './guest-ports.ts';
import { Ownership } from './ownership.ts';
import type { LinkTimes } from './session.ts';

/** The handover that a journal's newest entry asks for; undefined if there is nothing left to do. */
export function recoveredOwnership(
  entry: Entry<SourceRecord>,
  journal: JournalWriter<SourceRecord>,
  times: LinkTimes,
  logger: Logger,
): Ownership | undefined {
  const { session, handover } = entry;
  const address = parseTcpAddress(session.address);
  if (handover.phase === 'completed' || address === undefined) return undefined;
  if (handover.phase === 'rolled-back' && handover.isPeerInformed) return undefined;
  return new Ownership({
    first: recoverSource(handover),
    address,
    session: {
      sessionId: Buffer.from(session.sessionId, 'hex'),
      sessionKey: Buffer.from(session.sessionKey, 'hex'),
      epoch: handover.epoch,
    },
    times,
    ports: {
      journal,
      // Nothing is paused by this daemon, so there is nothing to guard.
      guard: {
        arm: () => Promise.reject(new Error('no guard in recovery')),
        release: () => Promise.resolve(),
      },
      guest: guestPorts(guestFromIdentity(session.guest)),
      endEngine: () => endProcess(session.engine),
    },
    logger,
    onChange: () => undefined,
  });
}
