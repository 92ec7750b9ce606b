// From one epoch to the next: what each side may do, state by state. The model explores the same in context.
import t from 'tap';
import type { DestinationEvent, DestinationState } from '../src/dest-states.ts';
import { destinationStep } from '../src/dest-step.ts';
import { enterEpoch, judgeHello, mayResumeAfterRestart, mayStartEpoch } from '../src/epochs.ts';
import { HandoverError } from '../src/errors.ts';
import type { DestinationEffect } from '../src/effects.ts';
import { Executor } from '../src/executor.ts';
import type { SourceRecord } from '../src/journal-record.ts';
import type { Cause } from '../src/messages.ts';

const guest = { type: 'none' };
const prepared: DestinationState = { phase: 'prepared', epoch: 2, runState: 'running', guest };

void t.test('what a hello means', (t) => {
  const cases: [DestinationState, number, number | null, string][] = [
    [{ phase: 'receiving', epoch: 2 }, 1, null, 'older'],
    [prepared, 2, 1, 'same'],
    [{ phase: 'receiving', epoch: 2 }, 3, 2, 'newer'],
    [{ phase: 'receiving', epoch: 2 }, 5, 4, 'newer'],
    [{ phase: 'receiving', epoch: 2 }, 3, 1, 'epoch-not-aborted'],
    [prepared, 3, 2, 'newer'],
    [prepared, 3, null, 'epoch-not-aborted'],
    [{ phase: 'destroying', epoch: 2, guest, answer: 'aborted', reason: 'r' }, 3, 2, 'newer'],
    [{ phase: 'aborted', epoch: 2, reason: 'r' }, 4, 4, 'newer'],
    [{ phase: 'refused', epoch: 2, reason: 'r' }, 3, 2, 'newer'],
    [{ phase: 'starting', epoch: 2, guest }, 3, 2, 'unexpected-message'],
    [{ phase: 'running', epoch: 2, runState: 'running', guest }, 3, 2, 'unexpected-message'],
  ];
  t.plan(cases.length);
  for (const [state, epoch, abortedEpoch, expected] of cases) {
    const name = `${state.phase} ${state.epoch}, hello ${epoch} after ${abortedEpoch ?? 'none'}: ${expected}`;
    const judge = (): string => judgeHello(state, { epoch, abortedEpoch });
    if (['older', 'same', 'newer'].includes(expected)) t.equal(judge(), expected, name);
    else t.equal(faultOf(judge), expected, name);
  }
});

void t.test('what was prepared is dead before a newer epoch is taken', async (t) => {
  const done: string[] = [];
  const executor = new Executor<DestinationState, DestinationEvent, DestinationEffect>({
    state: prepared,
    step: destinationStep,
    perform: (effect) => {
      done.push(
        effect.type === 'journal' ? `journal ${effect.record.phase} ${effect.record.epoch}` : effect.type,
      );
      return Promise.resolve(effect.type === 'destroy-guest' ? { type: 'guest-destroyed' } : null);
    },
  });
  const state = await enterEpoch((event) => executor.deliver(event), { epoch: 4, abortedEpoch: 3 });
  t.same(state, { phase: 'receiving', epoch: 4 });
  t.same(done, [
    'journal destroying 2',
    'destroy-guest',
    'journal aborted 2',
    'send',
    'report',
    'journal receiving 4',
  ]);
});

void t.test('a guest that does not die bars the newer epoch, and is tried again', async (t) => {
  let isStubborn = true;
  const executor = new Executor<DestinationState, DestinationEvent, DestinationEffect>({
    state: prepared,
    step: destinationStep,
    perform: (effect) => {
      if (effect.type !== 'destroy-guest') return Promise.resolve(null);
      return Promise.resolve(
        isStubborn ? { type: 'destroy-failed', reason: 'r' } : { type: 'guest-destroyed' },
      );
    },
  });
  const hello = { epoch: 3, abortedEpoch: 2 };
  const first = await enterEpoch((event) => executor.deliver(event), hello);
  t.match(first, { phase: 'destroying', epoch: 2 });
  isStubborn = false;
  t.match(await enterEpoch((event) => executor.deliver(event), hello), { phase: 'receiving', epoch: 3 });
});

void t.test('when the source may go on with a newer epoch', (t) => {
  const epochs = { epoch: 2, abortedEpoch: 1 };
  const cases: [SourceRecord, boolean, boolean][] = [
    [{ phase: 'precopy', ...epochs }, true, true],
    [rolledBack('link-lost'), true, true],
    [rolledBack('daemon-restarted'), true, true],
    [rolledBack('failed'), true, true],
    [rolledBack('aborted-by-destination'), true, true],
    [rolledBack('cancelled'), true, false],
    [rolledBack('taken-over'), true, false],
    [rolledBack('refused'), true, false],
    [{ phase: 'pausing', ...epochs, priorRunState: 'running' }, false, false],
    [{ phase: 'committed', ...epochs, priorRunState: 'running' }, false, false],
    [{ phase: 'completed', ...epochs }, false, false],
  ];
  t.plan(2 * cases.length);
  for (const [record, mayStart, mayResume] of cases) {
    const name = 'cause' in record ? `${record.phase}, ${record.cause.code}` : record.phase;
    t.equal(mayStartEpoch(record), mayStart, name);
    t.equal(mayResumeAfterRestart(record), mayResume, `${name}: after a restart`);
  }
});

function faultOf(work: () => unknown): string {
  try {
    return String(work());
  } catch (error) {
    if (error instanceof HandoverError) return error.fault.code;
    throw error;
  }
}

function rolledBack(code: Cause['code']): SourceRecord {
  return { phase: 'rolled-back', epoch: 2, cause: { code, reason: 'r' }, isPeerInformed: false };
}
