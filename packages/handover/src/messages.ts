// The words the two sides exchange about the ownership of the guest, as this package sees them.
// The wire adds what the handover does not decide by (rounds, roots, device state); the daemons map between the two.
// Every message belongs to one epoch of one session; the epoch travels in the frame's header and comes back in the event.

/** Whether the guest's processors execute. Travels in `handover`: what was paused before stays paused after. */
export type RunState = 'running' | 'paused';

/** What the source says. `handover` follows the final round; the others are orders and questions about it. */
export type SourceMessage =
  | { readonly type: 'handover'; readonly runState: RunState }
  | { readonly type: 'commit' }
  | { readonly type: 'abort'; readonly reason: string }
  | { readonly type: 'query' };

/** The source's messages that the destination's transition function takes; `handover` comes verified, as an event. */
export type SourceOrder = Exclude<SourceMessage, { type: 'handover' }>;

/**
 * What the destination says, each a fact that stays true for its epoch:
 * - `ready`: prepared, journaled, waits for commit or abort.
 * - `running`: the guest is owned here and in its run state.
 * - `refused`: committed, but the guest never ran here and is dead.
 * - `aborted`: ended before a resume order was sent; no guest is left here.
 */
export type DestinationMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'running' }
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'aborted'; readonly reason: string };

/** Why a migration was rolled back; journaled, so that the status still has it after a restart. */
export interface Cause {
  readonly code:
    | 'failed'
    | 'cancelled'
    | 'link-lost'
    | 'daemon-restarted'
    | 'aborted-by-destination'
    | 'refused'
    /** The operator's word that the destination is gone for good. */
    | 'taken-over';
  /** One sentence for the operator. */
  readonly reason: string;
}

/** Longest reason, in UTF-16 units, in a message, a record or a status. */
export const REASON_MAX_LENGTH = 512;

/** A reason cut to what journal and wire take; reasons come from error texts of any length. */
export function boundedReason(reason: string): string {
  return reason.length <= REASON_MAX_LENGTH ? reason : `${reason.slice(0, REASON_MAX_LENGTH - 1)}…`;
}

/** The words of anything thrown, bounded. */
export function reasonOf(error: unknown): string {
  return boundedReason(error instanceof Error ? error.message : String(error));
}
