/**
 * POST /takeover at the source: the operator's word that the destination is gone for good and runs no guest. Whether it
 * changes anything is the transitions' to say; here is why it did not. A refusal's phase is one of the status.
 */
import type { Entry, SourceRecord, SourceState } from '@pageferry/handover';
import { ProblemError, type Phase } from '@pageferry/protocol';
import type { Ownership } from './ownership.ts';

/**
 * Resolves when the guest is the source's again, or was already. `ownership`: undefined before there is one; `status`:
 * the status's phase, undefined after a restart.
 * @throws ProblemError nothing-to-take-over, past-point-of-no-return, peer-connected, journal-failed
 */
export async function takeOver(ownership: Ownership | undefined, status: Phase | undefined): Promise<void> {
  if (ownership === undefined) throw tooEarly(status);
  if (ownership.state.phase === 'committed' && ownership.isConnected) {
    throw new ProblemError('peer-connected', 'The destination is connected and is asked for the outcome', {
      peer: 'source',
      phase: 'committed',
      hint: 'POST /takeover is for a destination that is gone for good. POST /abort there gives the guest back.',
    });
  }
  const wasCommitted = ownership.state.phase === 'committed';
  const state = await ownership.deliver({ type: 'operator-takeover' });
  if (wasCommitted && state.phase === 'committed') {
    throw new ProblemError('journal-failed', 'The takeover could not be journaled; nothing was changed', {
      peer: 'source',
      phase: 'committed',
    });
  }
  requireOwned(state, status);
}

/** After a restart that left nothing to do: the guest is the source's, or was given away. @throws as takeOver */
export function checkSettled(newest: Entry<SourceRecord> | null): void {
  if (newest?.handover.phase === 'completed') throw completed();
}

function requireOwned({ phase }: SourceState, status: Phase | undefined): void {
  if (phase === 'resuming' || phase === 'rolled-back') return;
  throw phase === 'completed' ? completed() : tooEarly(status);
}

function tooEarly(phase: Phase | undefined): ProblemError {
  return new ProblemError(
    'nothing-to-take-over',
    'The migration is not committed: the guest is the source’s',
    {
      peer: 'source',
      ...(phase === undefined ? {} : { phase }),
      hint: 'POST /cancel ends the migration; the guest goes on here.',
    },
  );
}

function completed(): ProblemError {
  return new ProblemError(
    'past-point-of-no-return',
    'The destination has said that the guest is running there',
    {
      peer: 'source',
      phase: 'completed',
      hint: 'The memory here is older than what ran there: start the guest anew where it is needed.',
    },
  );
}
