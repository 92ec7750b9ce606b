// Which events end an attempt before the commit, and in what words; kept apart so that the transitions read as a table.
import { boundedReason, type Cause } from './messages.ts';
import type { SourceEvent } from './source-states.ts';

/** The cause that an event gives for rolling back, or null if the event is no failure. */
export function failureCause(event: SourceEvent): Cause | null {
  switch (event.type) {
    case 'cancel':
      return { code: 'cancelled', reason: 'the migration was cancelled' };
    case 'link-lost':
      return { code: 'link-lost', reason: boundedReason(event.reason) };
    case 'failed':
    case 'guard-failed':
    case 'pause-failed':
    case 'journal-failed':
      return { code: 'failed', reason: boundedReason(event.reason) };
    case 'begin-switchover':
    case 'guest-paused':
    case 'final-round-done':
    case 'end-pulse':
    case 'journaled':
    case 'guest-resumed':
    case 'resume-failed':
    case 'guest-gone':
    case 'message':
    case 'link-restored':
    case 'retry':
    case 'epoch-started':
    case 'operator-takeover':
      return null;
  }
}

/** The operator says that nobody else can run the guest any more. */
export const TAKEN_OVER: Cause = {
  code: 'taken-over',
  reason: 'the operator took the guest over: the destination is gone for good',
};

/** The destination ended the epoch by itself. */
export function abortedByDestination(reason: string): Cause {
  return { code: 'aborted-by-destination', reason: boundedReason(reason) };
}
