// The destination's half of the handover as data: what states there are and what can happen. Transitions: dest-step.ts.
// Invariant: the guest may execute here in starting and running only; aborted and refused are reached only when it is
// dead and never ran. In `prepared` only the source's commit or abort, or the operator, ends anything: a lost link,
// a time-out, a dead engine do not. The operator's abort is always safe; a takeover rests on the operator's word alone.
import type { GuestIdentity } from './journal-record.ts';
import type { RunState, SourceOrder } from './messages.ts';

export type DestinationState =
  /** Pages come, or are being verified against the roots of `handover`. */
  | { readonly phase: 'receiving'; readonly epoch: number }
  /** The guest is being loaded, stopped. */
  | { readonly phase: 'preparing'; readonly epoch: number; readonly runState: RunState }
  /** `ready` was promised. */
  | {
      readonly phase: 'prepared';
      readonly epoch: number;
      readonly runState: RunState;
      readonly guest: GuestIdentity;
    }
  /** The resume order is given, its outcome not known. */
  | { readonly phase: 'starting'; readonly epoch: number; readonly guest: GuestIdentity }
  /** The guest is owned here and in its run state (`paused`: it was never started). */
  | {
      readonly phase: 'running';
      readonly epoch: number;
      readonly runState: RunState;
      readonly guest: GuestIdentity;
    }
  /** The guest, which never ran, is being made dead; then `answer` is given. `guest` null: it is not known. */
  | {
      readonly phase: 'destroying';
      readonly epoch: number;
      readonly guest: GuestIdentity | null;
      readonly answer: 'aborted' | 'refused';
      readonly reason: string;
    }
  /** This epoch is over and was never committed to here. */
  | { readonly phase: 'aborted'; readonly epoch: number; readonly reason: string }
  /** Committed, but the guest never ran and is dead. */
  | { readonly phase: 'refused'; readonly epoch: number; readonly reason: string };

export type DestinationEvent =
  /** `handover` came, its roots equal ours (and the file was read again, if asked for). */
  | { readonly type: 'handover-verified'; readonly epoch: number; readonly runState: RunState }
  | { readonly type: 'guest-prepared'; readonly guest: GuestIdentity }
  | { readonly type: 'prepare-failed'; readonly reason: string }
  /** The guest executes, or has executed since the order and ended by itself. */
  | { readonly type: 'guest-started' }
  /** Proof that the guest never executed. */
  | { readonly type: 'start-refused'; readonly reason: string }
  /** No answer to the resume order: it may have executed. */
  | { readonly type: 'start-unknown'; readonly reason: string }
  | { readonly type: 'guest-destroyed' }
  | { readonly type: 'destroy-failed'; readonly reason: string }
  | { readonly type: 'journaled' }
  | { readonly type: 'journal-failed'; readonly reason: string }
  | { readonly type: 'message'; readonly epoch: number; readonly message: SourceOrder }
  /** A hello that starts a newer epoch of this session; `abortedEpoch` as the source's journal records it. */
  | { readonly type: 'newer-epoch'; readonly epoch: number; readonly abortedEpoch: number | null }
  | { readonly type: 'link-lost'; readonly reason: string }
  | { readonly type: 'link-restored' }
  /** `POST /abort`: the operator's word, naming the session. */
  | { readonly type: 'operator-abort' }
  /** `POST /takeover`: the operator's word that the source is gone for good and runs no guest (fenced). */
  | { readonly type: 'operator-takeover' }
  /** Anything that ends the migration before it is prepared: engine, roots, the source's error, shutdown. */
  | { readonly type: 'failed'; readonly reason: string }
  /** After `trouble`, when the daemon thinks it worth another try. */
  | { readonly type: 'retry' };
