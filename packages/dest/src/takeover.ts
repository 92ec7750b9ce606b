/**
 * What POST /takeover is answered with at the destination. Whether it changes anything is the transitions' to say;
 * here is why it did not. The one thing refused here is what cannot be: a source that is gone and connected.
 */
import type { DestinationState } from '@pageferry/handover';
import { ProblemError } from '@pageferry/protocol';

/** Before the order. @throws ProblemError nothing-to-take-over, peer-connected */
export function checkTakeover(state: DestinationState, isConnected: boolean): void {
  const { phase } = state;
  if (phase === 'receiving') {
    throw new ProblemError(
      'nothing-to-take-over',
      'The memory is not complete here: the source has not handed the guest over',
      {
        peer: 'destination',
        phase,
        hint: 'POST /abort gives this migration up. The guest can only run where it was.',
      },
    );
  }
  if (phase === 'destroying' || phase === 'aborted' || phase === 'refused') {
    throw new ProblemError('nothing-to-take-over', `The guest was ended here: ${state.reason}`, {
      peer: 'destination',
    });
  }
  if ((phase !== 'preparing' && phase !== 'prepared') || !isConnected) return;
  throw new ProblemError('peer-connected', 'The source is connected: it decides about the guest', {
    peer: 'destination',
    phase,
    hint: 'POST /takeover is for a source that is gone for good. POST /cancel at the source ends the migration.',
  });
}

/** After it. @throws ProblemError nothing-to-take-over, journal-failed, guest-failed */
export function checkTakenOver(state: DestinationState): void {
  const { phase } = state;
  switch (phase) {
    case 'running':
    case 'starting':
      return;
    case 'prepared':
      throw new ProblemError('journal-failed', 'The takeover could not be journaled; nothing was changed', {
        peer: 'destination',
        phase,
      });
    case 'destroying':
    case 'refused':
    case 'aborted':
      throw new ProblemError('guest-failed', state.reason, { peer: 'destination' });
    case 'receiving':
    case 'preparing':
      throw new ProblemError('nothing-to-take-over', `The migration is ${phase}`, {
        peer: 'destination',
        phase,
      });
  }
}
