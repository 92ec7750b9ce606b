import t from 'tap';
import { NO_COUNTERS } from '../src/engine/counters.ts';
import { areSameRoots, AppliedRounds } from '../src/applied-rounds.ts';
import type { RoundApplied } from '../src/page-engine.ts';

const applied = (round: number): RoundApplied => ({
  type: 'round-applied',
  round,
  roots: [],
  counters: NO_COUNTERS,
  rssAnonBytes: 0,
});

void t.test('whichever comes first', async (t) => {
  const rounds = new AppliedRounds();
  rounds.applied(applied(0));
  t.match(await rounds.until(0), { round: 0 }, 'applied before it is asked for');
  const waiting = rounds.until(1);
  rounds.applied(applied(1));
  t.match(await waiting, { round: 1 }, 'asked for before it is applied');
});

void t.test('roots are compared block by block', (t) => {
  const a = new Uint8Array(16).fill(1);
  const b = new Uint8Array(16).fill(2);
  t.ok(areSameRoots([a, b], [a, b]));
  t.notOk(areSameRoots([a, b], [b, a]));
  t.notOk(areSameRoots([a], [a, b]));
  t.notOk(areSameRoots([a, b], [a]));
  t.end();
});
