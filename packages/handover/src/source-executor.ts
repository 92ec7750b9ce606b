// Carries out the source's effects through ports: the one place where a rejected promise becomes a failure event.
// The daemon and the guard use it alike; the guard's ports have no link and no guard.
import type { Report, SourceEffect, SourceStep } from './effects.ts';
import { Executor } from './executor.ts';
import type { JournalWriter } from './journal.ts';
import type { SourceRecord } from './journal-record.ts';
import { reasonOf, type SourceMessage } from './messages.ts';
import type { SourceEvent, SourceState } from './source-states.ts';
import { sourceStep } from './source-step.ts';

/** What the source's handover acts on. Rejections are expected failures unless said otherwise. */
export interface SourcePorts {
  readonly journal: JournalWriter<SourceRecord>;
  readonly guard: {
    /** Resolves when the guard has answered that it is armed. */
    arm(): Promise<void>;
    /** Never rejects for a guard that is not armed; a dead one counts as released. */
    release(): Promise<void>;
  };
  readonly guest: {
    /** Resolves when the guest is proven stopped. */
    pause(): Promise<void>;
    /** Idempotent. `gone`: the guest has ended, there is nothing to resume. */
    resume(): Promise<'resumed' | 'gone'>;
  };
  /** Makes sure that the journal's engine is gone. A rejection ends the executor. */
  endEngine(): Promise<void>;
  /** Puts the message on the control link; drops it while there is none. Must not throw. */
  send(epoch: number, message: SourceMessage): void;
  /** Must not throw. */
  report(report: Report): void;
}

export type SourceExecutor = Executor<SourceState, SourceEvent, SourceEffect>;

/** A source's handover from its first step (`beginSource`, `recoverSource`), whose effects are under way on return. */
export function sourceExecutor(first: SourceStep, ports: SourcePorts): SourceExecutor {
  return new Executor({
    state: first.state,
    step: sourceStep,
    perform: (effect: SourceEffect) => performSourceEffect(effect, ports),
  });
}

/** Carries out one effect; the table in effects.ts says what answers. */
export async function performSourceEffect(
  effect: SourceEffect,
  ports: SourcePorts,
): Promise<SourceEvent | null> {
  switch (effect.type) {
    case 'journal':
      return journal(effect, ports);
    case 'arm-guard':
      return orFailure(ports.guard.arm(), null, 'guard-failed');
    case 'release-guard':
      await ports.guard.release();
      return null;
    case 'pause-guest':
      return orFailure(ports.guest.pause(), { type: 'guest-paused' }, 'pause-failed');
    case 'resume-guest':
      return resume(ports);
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

function journal(
  { record, sync }: Extract<SourceEffect, { type: 'journal' }>,
  ports: SourcePorts,
): Promise<SourceEvent | null> {
  const success: SourceEvent | null = sync ? { type: 'journaled' } : null;
  return orFailure(ports.journal.write(record, { sync }), success, 'journal-failed');
}

async function resume(ports: SourcePorts): Promise<SourceEvent> {
  try {
    const outcome = await ports.guest.resume();
    return outcome === 'resumed' ? { type: 'guest-resumed' } : { type: 'guest-gone', reason: 'it has ended' };
  } catch (error) {
    return { type: 'resume-failed', reason: reasonOf(error) };
  }
}

async function orFailure(
  work: Promise<void>,
  success: SourceEvent | null,
  failure: 'guard-failed' | 'pause-failed' | 'journal-failed',
): Promise<SourceEvent | null> {
  try {
    await work;
    return success;
  } catch (error) {
    return { type: failure, reason: reasonOf(error) };
  }
}
