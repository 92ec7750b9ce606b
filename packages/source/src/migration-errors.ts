/** How a migration ends early, and why the guest is back in our hands, as the handover knows it. */
import type { Cause, SourceState } from '@pageferry/handover';
import { describeProblem, ProblemError, type ProblemDetails } from '@pageferry/protocol';

/** Cancelling and shutting down end a migration like a failure, under another name. */
export class Cancelled extends ProblemError {
  constructor(reason: string) {
    super('cancelled', reason);
  }
}

/** The error of a state that the migration did not want. */
export function ownershipFailure(state: SourceState): ProblemError {
  if (!('cause' in state)) return new ProblemError('internal', `the handover is in phase ${state.phase}`);
  return causeFailure(state.cause);
}

/** Why a handover was rolled back, as a problem. */
export function causeFailure({ code, reason }: Cause): ProblemError {
  switch (code) {
    case 'cancelled':
      return new Cancelled(reason);
    case 'link-lost':
      return new ProblemError('link-lost', reason);
    case 'aborted-by-destination':
      return new ProblemError('rolled-back', reason, { peer: 'destination' });
    case 'refused':
      return new ProblemError('guest-failed', reason, { peer: 'destination' });
    case 'taken-over':
      return new ProblemError('taken-over', reason, { peer: 'source' });
    case 'daemon-restarted':
    case 'failed':
      return new ProblemError('rolled-back', reason, { peer: 'source' });
  }
}
/** What an operator must see before anything else. */
export function twoOwners(reason: string): ProblemDetails {
  return describeProblem('two-owners', reason, {
    peer: 'source',
    hint: 'End the guest on the side that was taken over by mistake; then POST /abort or a new migration goes on.',
  });
}
