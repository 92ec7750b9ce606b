/**
 * What a source daemon does first: finishes what the journal says was begun. A guest that the dead daemon paused
 * before the commit runs again; a commit is asked about until the destination's answer is known.
 */
import { guestFromIdentity } from '@pageferry/guest';
import { recoverSource, type Entry, type JournalWriter, type SourceRecord } from '@pageferry/handover';
import { parseTcpAddress } from '@pageferry/protocol';
import { endProcess, system } from '@pageferry/transport';
import type { Logger } from 'pino';
import { GuardHolder, type Held } from './attempt.ts';
import { recoveredGuestPorts } from './guest-ports.ts';
import { Ownership } from './ownership.ts';
import type { LinkTimes } from './session.ts';

/**
 * The handover that a journal's newest entry asks for, not begun; undefined if there is nothing left to do.
 * `mayResume`: another attempt may follow what was rolled back, also where the destination knows of that.
 */
export function recoverHandover(
  entry: Entry<SourceRecord>,
  journal: JournalWriter<SourceRecord>,
  times: LinkTimes,
  logger: Logger,
  mayResume = false,
): Held | undefined {
  const { session, handover } = entry;
  const address = parseTcpAddress(session.address);
  if (handover.phase === 'completed' || address === undefined) return undefined;
  if (handover.phase === 'rolled-back' && handover.isPeerInformed && !mayResume) return undefined;
  const key = {
    sessionId: Buffer.from(session.sessionId, 'hex'),
    sessionKey: Buffer.from(session.sessionKey, 'hex'),
  };
  // Nothing is paused by this daemon yet, so there is nothing to guard until a newer attempt brings a guard.
  const guard = new GuardHolder();
  const ownership = new Ownership({
    first: recoverSource(handover),
    address,
    session: key,
    times,
    ports: {
      journal,
      guard,
      guest: recoveredGuestPorts(guestFromIdentity(session.guest, system)),
      endEngine: () => endProcess(session.engine),
    },
    logger,
  });
  return { session: key, ownership, guard };
}
