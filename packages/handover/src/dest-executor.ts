// Carries out the destination's effects through ports: the one place where a rejected promise becomes a failure event.
// An order to start that is answered by an error of any kind counts as unknown: only a stated refusal is proof.
import type { DestinationEvent, DestinationState } from './dest-states.ts';
import { destinationStep } from './dest-step.ts';
import type { DestinationEffect, DestinationStep, Report } from './effects.ts';
import { Executor } from './executor.ts';
import type { JournalWriter } from './journal.ts';
import { assertIdentityFits, type DestinationRecord, type GuestIdentity } from './journal-record.ts';
import { reasonOf, type DestinationMessage, type RunState } from './messages.ts';

/** What came of the resume order. `refused` is proof that the guest never executed. */
export type StartOutcome =
  { readonly outcome: 'running' } | { readonly outcome: 'refused'; readonly reason: string };

/** What the destination's handover acts on. Rejections are expected failures unless said otherwise. */
export interface DestinationPorts {
  readonly journal: JournalWriter<DestinationRecord>;
  readonly guest: {
    /** Loads the guest and leaves it stopped; its identity is for the journal, 1 KiB at most. */
    prepare(runState: RunState): Promise<GuestIdentity>;
    /** Idempotent. @see DestinationEffect for `isFirstOrder`. A rejection: outcome unknown. */
    start(guest: GuestIdentity, options: { readonly isFirstOrder: boolean }): Promise<StartOutcome>;
    /** Resolves when the guest is dead; idempotent. `null`: whatever an unfinished preparation has left. */
    destroy(guest: GuestIdentity | null): Promise<void>;
  };
  /** Makes sure that the journal's engine is gone. A rejection ends the executor. */
  endEngine(): Promise<void>;
  /** Puts the message on the control link; drops it while there is none. Must not throw. */
  send(epoch: number, message: DestinationMessage): void;
  /** Must not throw. */
  report(report: Report): void;
}

export type DestinationExecutor = Executor<DestinationState, DestinationEvent, DestinationEffect>;

/** A destination's handover from its first step (`beginDestination`, `recoverDestination`). */
export function destinationExecutor(first: DestinationStep, ports: DestinationPorts): DestinationExecutor {
  return new Executor({
    state: first.state,
    step: destinationStep,
    perform: (effect: DestinationEffect) => performDestinationEffect(effect, ports),
  });
}

/** Carries out one effect; the table in effects.ts says what answers. */
export async function performDestinationEffect(
  effect: DestinationEffect,
  ports: DestinationPorts,
): Promise<DestinationEvent | null> {
  switch (effect.type) {
    case 'journal': {
      const { record, sync } = effect;
      const success: DestinationEvent | null = sync ? { type: 'journaled' } : null;
      return attempt(async () => {
        await ports.journal.write(record, { sync });
        return success;
      }, 'journal-failed');
    }
    case 'prepare-guest':
      return attempt(async () => {
        const guest = await ports.guest.prepare(effect.runState);
        assertIdentityFits(guest);
        return { type: 'guest-prepared', guest };
      }, 'prepare-failed');
    case 'start-guest':
      return attempt(() => start(effect, ports), 'start-unknown');
    case 'destroy-guest':
      return attempt(async () => {
        await ports.guest.destroy(effect.guest);
        return { type: 'guest-destroyed' };
      }, 'destroy-failed');
    case 'end-engine':
      await ports.endEngine();
      return null;
    case 'send':
      ports.send(effect.epoch, effect.message);
      return null;
    case 'report':
      ports.report(effect.report);
      return null;
  }
}

async function start(
  { guest, isFirstOrder }: Extract<DestinationEffect, { type: 'start-guest' }>,
  ports: DestinationPorts,
): Promise<DestinationEvent> {
  const answer = await ports.guest.start(guest, { isFirstOrder });
  return answer.outcome === 'running'
    ? { type: 'guest-started' }
    : { type: 'start-refused', reason: answer.reason };
}

async function attempt(
  work: () => Promise<DestinationEvent | null>,
  failure: 'journal-failed' | 'prepare-failed' | 'start-unknown' | 'destroy-failed',
): Promise<DestinationEvent | null> {
  try {
    return await work();
  } catch (error) {
    return { type: failure, reason: reasonOf(error) };
  }
}
