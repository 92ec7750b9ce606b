// The handover explored: every interleaving of both daemons, guard, journals, guests, link, with faults up to a budget.
import t from 'tap';
import { explore } from './model/explore.ts';
import { destinationMutants } from './model/mutants-dest.ts';
import { sourceMutants } from './model/mutants-source.ts';
import { initialWorld, realRules } from './model/rules.ts';
import type { Budget } from './model/world.ts';

type Case = readonly ['running' | 'paused', Budget];

const bounded: readonly Case[] = [
  ['running', { crashes: 1, cuts: 1, failures: 0 }],
  ['running', { crashes: 1, cuts: 0, failures: 1 }],
  ['running', { crashes: 0, cuts: 1, failures: 1 }],
  ['paused', { crashes: 1, cuts: 0, failures: 1 }],
];
/** Minutes and gigabytes: PAGEFERRY_MODEL=deep. */
const deep: readonly Case[] = [
  ['running', { crashes: 1, cuts: 1, failures: 1 }],
  ['running', { crashes: 2, cuts: 1, failures: 0 }],
  ['running', { crashes: 2, cuts: 0, failures: 1 }],
  ['running', { crashes: 0, cuts: 1, failures: 2 }],
  ['paused', { crashes: 1, cuts: 1, failures: 1 }],
];

void t.test('one guest, whatever fails', (t) => {
  const cases = process.env['PAGEFERRY_MODEL'] === 'deep' ? [...bounded, ...deep] : bounded;
  t.plan(2 * cases.length);
  for (const [prior, budget] of cases) {
    const { violation, stateCount, transitionCount, endCount } = explore(
      initialWorld(prior, budget),
      realRules,
    );
    const { crashes, cuts, failures } = budget;
    const name = `guest ${prior}; at most ${crashes} crashes, ${cuts} cuts, ${failures} failures`;
    t.comment(`${name}: ${stateCount} states, ${transitionCount} transitions, ${endCount} ends`);
    t.equal(violation, null, name);
    t.ok(stateCount > 10_000 && endCount > 10, `${name}: explored, not cut short`);
  }
  t.end();
});

const mutants = [...sourceMutants, ...destinationMutants];

void t.test('without any one condition something breaks', (t) => {
  t.plan(mutants.length + mutants.filter(({ start }) => start !== undefined).length);
  for (const { condition, rules, budget, prior, start } of mutants) {
    const first = { ...initialWorld(prior ?? 'running', budget), ...start };
    const { violation, stateCount } = explore(first, { ...realRules, ...rules });
    t.ok(violation, condition);
    t.comment(`${violation?.rule} after ${violation?.trace.length} steps, ${stateCount} states`);
    if (start !== undefined) t.equal(explore(first, realRules).violation, null, `with it: ${condition}`);
  }
  t.end();
});
