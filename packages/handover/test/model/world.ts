// The model's world: everything that decides who runs the guest, as one immutable value. The daemons in it are the real
// transition functions (rules.ts); the rest (link, guests, processes) is the least that they act on.
// What no transition depends on (reasons, reports, the engine) is left out, so that equal situations are equal values.
import type { DestinationState } from '../../src/dest-states.ts';
import type { DestinationEffect, SourceEffect } from '../../src/effects.ts';
import type { DestinationRecord, SourceRecord } from '../../src/journal-record.ts';
import type { DestinationMessage, RunState, SourceMessage } from '../../src/messages.ts';
import type { SourceState } from '../../src/source-states.ts';

/** A process that runs one side's transitions; `queue` is what is left of the last one's effects. */
export interface Actor<S, F> {
  readonly state: S;
  readonly queue: readonly F[];
}

export type SourceActor = Actor<SourceState, SourceEffect>;
export type DestinationActor = Actor<DestinationState, DestinationEffect>;

/** The first message of a connection: `resume` goes on with pages, `resolve` asks about, or ends, its epoch. */
export interface Hello {
  readonly type: 'hello';
  readonly purpose: 'resume' | 'resolve';
  readonly abortedEpoch: number | null;
}

/** A message in flight. `error`: the peer refused what came. */
export interface ToDestination {
  readonly epoch: number;
  readonly message: SourceMessage | Hello;
}
export interface ToSource {
  readonly epoch: number;
  readonly message: DestinationMessage | { readonly type: 'error' };
}

export interface World {
  /** What the guest was before the migration. */
  readonly prior: RunState;
  /** Null: the process is dead. */
  readonly source: SourceActor | null;
  readonly destination: DestinationActor | null;
  /** The guard of the source daemon that lives. */
  readonly guard: 'idle' | 'armed' | 'dead';
  /** An armed guard whose daemon died and that has not acted yet. */
  readonly isOrphanArmed: boolean;
  /** That guard, acting: it holds the journal's lock. */
  readonly guardian: SourceActor | null;
  readonly wasGuardKilled: boolean;
  readonly sourceRecord: SourceRecord;
  readonly destinationRecord: DestinationRecord;
  /** `lost`: it ended with its host. */
  readonly sourceGuest: RunState | 'lost';
  readonly destinationGuest: 'absent' | 'stopped' | 'running' | 'dead';
  /** The destination's guest has executed. */
  readonly hasRun: boolean;
  /** Epoch whose final scan was done with the guest paused ever since; 0: none. */
  readonly scannedEpoch: number;
  /** Epoch whose roots the destination found equal; 0: none. */
  readonly verifiedEpoch: number;
  readonly isLinkUp: boolean;
  /** The daemon may still pulse once: pause the guest in precopy for something that needs it stopped, and go on. */
  readonly mayPulse: boolean;
  /** The pause is a pulse. */
  readonly isPulse: boolean;
  /** The source has not noticed yet that its link is gone. */
  readonly isLossNews: boolean;
  /** The source has started its epoch and not said hello with it: only then can it go on with pages. */
  readonly isEpochFresh: boolean;
  readonly toDestination: readonly ToDestination[];
  readonly toSource: readonly ToSource[];
  /** One message of a dead connection, that may still be delivered: half-open TCP. */
  readonly staleToDestination: ToDestination | null;
  readonly staleToSource: ToSource | null;
  /** The destination's engine can write into the image; it is that of its daemon's epoch. */
  readonly isEngineWriting: boolean;
  /** So can an engine of an epoch or of a daemon before. */
  readonly isOrphanWriting: boolean;
  /** A host that is gone for good, with all of its processes; `isBack`: in spite of that its daemon was started again. */
  readonly lostHost: 'none' | 'source' | 'destination';
  readonly isBack: boolean;
  /** The newest epoch that the source may start. */
  readonly epochMax: number;
  /** What may still go wrong. */
  readonly budget: Budget;
}

/**
 * crashes: of either daemon or the guard; cuts: of the link; failures: anything that can fail, refuse, be repeated or be
 * cancelled; losses: of a host for good.
 */
export interface Budget {
  readonly crashes: number;
  readonly cuts: number;
  readonly failures: number;
  readonly losses: number;
}

/**
 * An edge of the graph. `fair`: happens sooner or later if it stays possible. `chance`: may happen or not, and costs
 * nothing (an operator's retry, a late message). `fault`: costs budget.
 */
export interface Transition {
  readonly label: string;
  readonly kind: 'fair' | 'chance' | 'fault';
  readonly world: World;
}
