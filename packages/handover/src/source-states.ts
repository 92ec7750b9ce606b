// The source's half of the handover as data: what states there are and what can happen. The transitions are in source-step.ts.
// Invariant: a state carries only what is valid in it. The guest may execute here in precopy, going-on, resuming and rolled-back
// only; from `committing` until `running`, `refused` or `aborted` is heard it stays paused, whatever happens.
import type { Cause, DestinationMessage, RunState } from './messages.ts';

interface Epochs {
  /** The session's epoch; 1 or more, greater with each attempt. */
  readonly epoch: number;
  /** The newest earlier epoch that is rolled back, journaled; goes into hello. */
  readonly abortedEpoch: number | null;
}

interface Switchover extends Epochs {
  /** What the guest was before we paused it; it decides whether a rollback resumes it. */
  readonly priorRunState: RunState;
}

export type SourceState =
  /** Rounds run, the guest is not ours to pause or resume. */
  | ({ readonly phase: 'precopy' } & Epochs)
  /** Guard, intent and pause are ordered. */
  | ({ readonly phase: 'pausing' } & Switchover)
  /** The guest is proven stopped: pre-switchover, device state, final round. */
  | ({ readonly phase: 'paused' } & Switchover)
  /** A pulse is over: the guest is resumed and rounds go on. */
  | ({ readonly phase: 'going-on' } & Switchover)
  /** `handover` is sent; waits for `ready`. */
  | ({ readonly phase: 'offered' } & Switchover)
  /** `ready` came, `committed` is being written. Cancelling is over. */
  | ({ readonly phase: 'committing' } & Switchover)
  /** Writing `committed` failed, so it may be on disk or not: the guest stays paused until that is revoked. */
  | ({ readonly phase: 'revoking'; readonly cause: Cause } & Switchover)
  /** Point of no return: commit is repeated until the destination's fate is known. */
  | ({ readonly phase: 'committed' } & Switchover)
  /** The guest is ours again and being resumed. */
  | ({ readonly phase: 'resuming'; readonly cause: Cause; readonly isPeerInformed: boolean } & Switchover)
  /** This epoch is over, the source owns the guest. `isPeerInformed`: the destination answered that it is over there too. */
  | {
      readonly phase: 'rolled-back';
      readonly epoch: number;
      readonly cause: Cause;
      readonly isPeerInformed: boolean;
    }
  /** The destination owns the guest; the one here stays stopped. */
  | ({ readonly phase: 'completed' } & Epochs);

export type SourceEvent =
  /** Convergence or the operator decided; `priorRunState` was read from the guest just now. */
  | { readonly type: 'begin-switchover'; readonly priorRunState: RunState }
  | { readonly type: 'guard-failed'; readonly reason: string }
  | { readonly type: 'guest-paused' }
  | { readonly type: 'pause-failed'; readonly reason: string }
  /** The final round was sent, scanned after `guest-paused`; roots and device state go along with `handover`. */
  | { readonly type: 'final-round-done' }
  /** The pause was a pulse, for something that must be done while the guest is stopped, and no switchover. */
  | { readonly type: 'end-pulse' }
  | { readonly type: 'journaled' }
  | { readonly type: 'journal-failed'; readonly reason: string }
  | { readonly type: 'guest-resumed' }
  /** May succeed later: the daemon delivers `retry` after a while. */
  | { readonly type: 'resume-failed'; readonly reason: string }
  /** The guest's process does not exist any more: nothing to resume. */
  | { readonly type: 'guest-gone'; readonly reason: string }
  | { readonly type: 'message'; readonly epoch: number; readonly message: DestinationMessage }
  | { readonly type: 'link-lost'; readonly reason: string }
  /** Hello and welcome are done on a new control connection: what is owed is said again. */
  | { readonly type: 'link-restored' }
  | { readonly type: 'cancel' }
  /** `POST /takeover`: the operator's word that the destination is gone for good and runs no guest (fenced). */
  | { readonly type: 'operator-takeover' }
  /** Anything else that ends the migration before the commit: engine, peer's error, time-out, shutdown. */
  | { readonly type: 'failed'; readonly reason: string }
  /** After `trouble`, when the daemon thinks it worth another try. */
  | { readonly type: 'retry' }
  /** A new attempt of the same session (retry, reconnect in precopy) with a greater epoch. Hello follows its effects. */
  | { readonly type: 'epoch-started'; readonly epoch: number };
