// Every state × every event against test/fixtures/transitions.txt, which is reviewed like code. After a change of the
// transitions that is meant, run with UPDATE=1 and read the difference.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { helloEpochs } from '../src/epochs.ts';
import {
  isDestinationUnsettled,
  recoverDestination,
  recoverSource,
  sourceNeedsPeer,
} from '../src/recovery.ts';
import type { DestinationRecord, SourceRecord } from '../src/journal-record.ts';
import { sourceStep } from '../src/source-step.ts';
import { destinationTable, sourceTable } from './transition-table.ts';

const fixture = fileURLToPath(new URL('../../test/fixtures/transitions.txt', import.meta.url));

void t.test('every state and every event', (t) => {
  const lines = ['# source', ...sourceTable(), '# destination', ...destinationTable()];
  const text = `${lines.join('\n')}\n`;
  if (process.env['UPDATE'] === '1') writeFileSync(fixture, text);
  t.equal(text, readFileSync(fixture, 'utf8'));
  t.end();
});

void t.test('a guest that was paused before is neither resumed nor started', (t) => {
  const paused = { phase: 'paused', epoch: 1, abortedEpoch: null, priorRunState: 'paused' } as const;
  const rolledBack = sourceStep(paused, { type: 'cancel' });
  t.equal(rolledBack.state.phase, 'rolled-back');
  t.notOk(rolledBack.effects.some(({ type }) => type === 'resume-guest'));
  t.end();
});

void t.test('recovery of each record', (t) => {
  const facts = { epoch: 3, abortedEpoch: 1 } as const;
  const cause = { code: 'cancelled', reason: 'r' } as const;
  const guest = { type: 'none' };
  const running = { ...facts, priorRunState: 'running' } as const;
  const sources: [SourceRecord, string, string, boolean, number | null][] = [
    [{ phase: 'precopy', ...facts }, 'precopy', '', false, 1],
    [{ phase: 'pausing', ...running }, 'resuming', 'resume-guest', true, 1],
    [{ phase: 'pausing', ...running, priorRunState: 'paused' }, 'rolled-back', 'report journal', true, 3],
    [{ phase: 'committed', ...running }, 'committed', '', true, 1],
    [{ phase: 'reclaimed', ...running, cause }, 'resuming', 'resume-guest', false, 1],
    [{ phase: 'completed', ...facts }, 'completed', '', false, 1],
    [{ phase: 'rolled-back', epoch: 3, cause, isPeerInformed: false }, 'rolled-back', '', true, 3],
    [{ phase: 'rolled-back', epoch: 3, cause, isPeerInformed: true }, 'rolled-back', '', false, 3],
  ];
  const destinations: [DestinationRecord, string, string, boolean][] = [
    [{ phase: 'receiving', epoch: 3 }, 'receiving', '', false],
    [{ phase: 'preparing', epoch: 3, runState: 'running' }, 'destroying', 'destroy-guest', true],
    [{ phase: 'prepared', epoch: 3, runState: 'running', guest }, 'prepared', '', true],
    [{ phase: 'starting', epoch: 3, guest }, 'starting', 'start-guest', true],
    [{ phase: 'running', epoch: 3, runState: 'running', guest }, 'running', '', false],
    [
      { phase: 'destroying', epoch: 3, guest, answer: 'refused', reason: 'r' },
      'destroying',
      'destroy-guest',
      true,
    ],
    [{ phase: 'aborted', epoch: 3, reason: 'r' }, 'aborted', '', false],
    [{ phase: 'refused', epoch: 3, reason: 'r' }, 'refused', '', false],
  ];
  t.plan(5 * sources.length + 3 * destinations.length);
  for (const [record, phase, effects, needsPeer, abortedEpoch] of sources) {
    const step = recoverSource(record);
    t.equal(step.state.phase, phase, record.phase);
    t.equal(step.effects.map(({ type }) => type).join(' '), `end-engine ${effects}`.trim(), record.phase);
    t.equal(sourceNeedsPeer(step.state), needsPeer, record.phase);
    t.same(helloEpochs(step.state), { epoch: 3, abortedEpoch }, record.phase);
    t.same(recoverSource(record), step, `${record.phase}: again`);
  }
  for (const [record, phase, effects, isUnsettled] of destinations) {
    const step = recoverDestination(record);
    t.equal(step.state.phase, phase, record.phase);
    t.equal(step.effects.map(({ type }) => type).join(' '), `end-engine ${effects}`.trim(), record.phase);
    t.equal(isDestinationUnsettled(step.state), isUnsettled, record.phase);
  }
});
