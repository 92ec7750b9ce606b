// What a transition asks the daemon to do. Effects are data; the executor runs a list in order, one at a time.
// Invariant: after an effect that fails, the rest of its list is not run, and the failure comes back as an event.
// An effect with an outcome that decides what comes next is the last of its list; the table says which event answers.
//
// | effect        | on success answers                     | on failure answers                       |
// |---------------|----------------------------------------|------------------------------------------|
// | journal       | `journaled` if `sync`, else nothing    | `journal-failed`                         |
// | arm-guard     | nothing                                | `guard-failed`                           |
// | release-guard | nothing                                | nothing (a dead guard is a released one) |
// | pause-guest   | `guest-paused`                         | `pause-failed`                           |
// | resume-guest  | `guest-resumed`                        | `resume-failed`, `guest-gone`            |
// | prepare-guest | `guest-prepared`                       | `prepare-failed`                         |
// | start-guest   | `guest-started`                        | `start-refused`, `start-unknown`         |
// | destroy-guest | `guest-destroyed`                      | `destroy-failed`                         |
// | send          | nothing; dropped while the link is cut | nothing: what is owed is sent again      |
// | end-engine    | nothing                                | nothing: the daemon cannot go on (throw) |
// | report        | nothing                                | nothing                                  |
import type { Cause, DestinationMessage, RunState, SourceMessage } from './messages.ts';
import type { DestinationState } from './dest-states.ts';
import type { DestinationRecord, GuestIdentity, SourceRecord } from './journal-record.ts';
import type { SourceState } from './source-states.ts';

/** Write the record in one write. `sync`: fdatasync too, and answer `journaled`. */
export interface JournalEffect<R> {
  readonly type: 'journal';
  readonly record: R;
  readonly sync: boolean;
}

/** What the operator's surfaces (status, log, events) are told. Never decides anything. */
export type Report =
  | { readonly outcome: 'completed' }
  | { readonly outcome: 'rolled-back'; readonly cause: Cause }
  | { readonly outcome: 'aborted'; readonly reason: string }
  | { readonly outcome: 'refused'; readonly reason: string }
  /** Past the point of no return: the request (cancel, the operator's or the source's abort) changed nothing. */
  | { readonly outcome: 'too-late'; readonly reason: string }
  /** Nothing to take over yet: the request changed nothing. */
  | { readonly outcome: 'too-early'; readonly reason: string }
  /** A destination that was given up for good has answered after all. */
  | { readonly outcome: 'late-answer'; readonly reason: string }
  /** The guest is owned here, and the peer says that it owns it too: a takeover was wrong. Nothing follows by itself. */
  | { readonly outcome: 'two-owners'; readonly reason: string }
  /** Something abnormal, and the handover goes on or waits for `retry`. */
  | { readonly outcome: 'trouble'; readonly reason: string };

/** Tell the operator. */
export interface ReportEffect {
  readonly type: 'report';
  readonly report: Report;
}

/** Make sure that the engine named in the journal is gone, before the image or the guest is touched. */
export interface EndEngineEffect {
  readonly type: 'end-engine';
}

export type SourceEffect =
  | JournalEffect<SourceRecord>
  | EndEngineEffect
  | ReportEffect
  /** Done when the guard has answered that it is armed. */
  | { readonly type: 'arm-guard' }
  /** No-op if no guard is armed. */
  | { readonly type: 'release-guard' }
  /** Done when the guest is proven stopped; harmless if it was stopped before. */
  | { readonly type: 'pause-guest' }
  /** Idempotent. */
  | { readonly type: 'resume-guest' }
  | { readonly type: 'send'; readonly epoch: number; readonly message: SourceMessage };

export type DestinationEffect =
  | JournalEffect<DestinationRecord>
  | EndEngineEffect
  | ReportEffect
  /** Load the guest and leave it stopped. */
  | { readonly type: 'prepare-guest'; readonly runState: RunState }
  /**
   * The resume order; idempotent. `isFirstOrder`: no order was ever sent, so a guest that is gone never ran
   * (`start-refused`); otherwise a guest that is gone has run, unless the guest itself has proof of the contrary.
   */
  | { readonly type: 'start-guest'; readonly guest: GuestIdentity; readonly isFirstOrder: boolean }
  /** Make sure that the guest is dead; idempotent. `null`: a preparation whose guest is not known any more. */
  | { readonly type: 'destroy-guest'; readonly guest: GuestIdentity | null }
  | { readonly type: 'send'; readonly epoch: number; readonly message: DestinationMessage };

/** A transition's result: the new state and what to do, in order. */
export interface Step<S, F> {
  readonly state: S;
  readonly effects: readonly F[];
}

export type SourceStep = Step<SourceState, SourceEffect>;
export type DestinationStep = Step<DestinationState, DestinationEffect>;
