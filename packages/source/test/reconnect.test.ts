import { describeProblem, type ProblemName } from '@pageferry/protocol';
import t from 'tap';
import { AttemptLimit, mayPass } from '../src/reconnect.ts';

void t.test('what may pass', (t) => {
  const cases: readonly (readonly [ProblemName, boolean])[] = [
    ['link-lost', true],
    ['engine-died', true],
    ['roots-differ', true],
    ['protocol-violation', true],
    ['cancelled', false],
    ['no-convergence', false],
    ['migration-unknown', false],
    ['image-truncated', false],
    ['guest-failed', false],
  ];
  t.plan(cases.length);
  for (const [name, expected] of cases) t.equal(mayPass(describeProblem(name, 'why')), expected, name);
});

void t.test('attempts in a row, with pauses that double', (t) => {
  const limit = new AttemptLimit(8);
  const pauses = Array.from({ length: 8 }, () => limit.next());
  t.same(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  t.notOk(limit.isLeft);
  limit.succeeded();
  t.ok(limit.isLeft, 'a confirmed round counts anew');
  t.equal(limit.next(), 100);
  t.end();
});

void t.test('a pause of the guest that comes to nothing is not made up for by a round', (t) => {
  const phases = ['pausing', 'pre-switchover', 'device-state', 'final-round', 'handover'] as const;
  t.plan(1 + phases.length);
  const unpaused = new AttemptLimit(1);
  unpaused.ended('rounds');
  t.ok(unpaused.isLeft);
  for (const phase of phases) {
    const limit = new AttemptLimit(1);
    limit.ended(phase);
    limit.succeeded();
    t.notOk(limit.isLeft, phase);
  }
});

void t.test('no attempt without a limit', (t) => {
  const limit = new AttemptLimit(0);
  t.notOk(limit.isPossible);
  t.notOk(limit.isLeft);
  t.end();
});
