// The handover explored: every interleaving of both daemons, guard, journals, guests, link, with faults up to a budget.
import t from 'tap';
import { explore } from './model/explore.ts';
import { initialWorld, realRules } from './model/rules.ts';
import type { Budget } from './model/world.ts';

type Case = readonly ['running' | 'paused', Budget, epochMax: number, mayPulse?: true];

const bounded: readonly Case[] = [
  ['running', { crashes: 1, cuts: 0, failures: 0, losses: 0 }, 3],
  ['running', { crashes: 0, cuts: 2, failures: 0, losses: 0 }, 3],
  ['running', { crashes: 0, cuts: 0, failures: 0, losses: 1 }, 3],
  ['paused', { crashes: 0, cuts: 0, failures: 0, losses: 1 }, 3],
  ['running', { crashes: 1, cuts: 1, failures: 0, losses: 0 }, 2],
  ['running', { crashes: 1, cuts: 0, failures: 1, losses: 0 }, 2],
  ['running', { crashes: 0, cuts: 1, failures: 1, losses: 0 }, 2],
  ['running', { crashes: 1, cuts: 0, failures: 0, losses: 1 }, 2],
  ['running', { crashes: 0, cuts: 1, failures: 0, losses: 1 }, 2],
  ['running', { crashes: 0, cuts: 0, failures: 1, losses: 1 }, 2],
  ['paused', { crashes: 1, cuts: 0, failures: 1, losses: 0 }, 2],
  ['running', { crashes: 1, cuts: 0, failures: 0, losses: 0 }, 2, true],
  ['running', { crashes: 0, cuts: 1, failures: 0, losses: 0 }, 2, true],
  ['running', { crashes: 0, cuts: 0, failures: 1, losses: 0 }, 2, true],
  ['paused', { crashes: 1, cuts: 0, failures: 0, losses: 0 }, 2, true],
];
/** Minutes and gigabytes: PAGEFERRY_MODEL=deep. */
const deep: readonly Case[] = [
  ['running', { crashes: 1, cuts: 1, failures: 0, losses: 0 }, 3],
  ['running', { crashes: 1, cuts: 0, failures: 1, losses: 0 }, 3],
  ['running', { crashes: 0, cuts: 1, failures: 1, losses: 0 }, 3],
  ['running', { crashes: 1, cuts: 0, failures: 0, losses: 1 }, 3],
  ['running', { crashes: 0, cuts: 1, failures: 0, losses: 1 }, 3],
  ['running', { crashes: 0, cuts: 0, failures: 1, losses: 1 }, 3],
  ['running', { crashes: 1, cuts: 1, failures: 1, losses: 0 }, 2],
  ['running', { crashes: 2, cuts: 1, failures: 0, losses: 0 }, 2],
  ['running', { crashes: 2, cuts: 0, failures: 1, losses: 0 }, 2],
  ['running', { crashes: 1, cuts: 0, failures: 2, losses: 0 }, 2],
  ['running', { crashes: 0, cuts: 1, failures: 2, losses: 0 }, 2],
  ['paused', { crashes: 1, cuts: 1, failures: 1, losses: 0 }, 2],
  ['running', { crashes: 1, cuts: 0, failures: 1, losses: 0 }, 2, true],
  ['running', { crashes: 1, cuts: 1, failures: 0, losses: 0 }, 2, true],
  ['running', { crashes: 0, cuts: 1, failures: 1, losses: 0 }, 2, true],
];

void t.test('one guest, whatever fails', (t) => {
  const cases = process.env['PAGEFERRY_MODEL'] === 'deep' ? [...bounded, ...deep] : bounded;
  t.plan(2 * cases.length);
  let exploredCount = 0;
  for (const [prior, budget, epochMax, mayPulse = false] of cases) {
    const { violation, stateCount, transitionCount, endCount } = explore(
      { ...initialWorld(prior, budget, epochMax), mayPulse },
      realRules,
    );
    const { crashes, cuts, failures, losses } = budget;
    const faults = `${crashes} crashes, ${cuts} cuts, ${failures} failures, ${losses} lost hosts`;
    const name = `guest ${prior}; at most ${faults}, ${epochMax} epochs${mayPulse ? ', a pulse' : ''}`;
    t.comment(`${name}: ${stateCount} states, ${transitionCount} transitions, ${endCount} ends`);
    t.equal(violation, null, name);
    t.ok(stateCount > 3000 && endCount > 10, `${name}: explored, not cut short`);
    exploredCount += stateCount;
  }
  t.comment(`handover model: ${exploredCount} states explored`);
  t.end();
});
