// The model is not blind: with any one condition taken away it finds what breaks, and what the operator's word rests on.
import t from 'tap';
import { explore } from './model/explore.ts';
import { destinationMutants } from './model/mutants-dest.ts';
import { sourceMutants } from './model/mutants-source.ts';
import { initialWorld, realRules } from './model/rules.ts';
import { wrongWords } from './model/wrong-words.ts';

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

void t.test('what the operator says must be so', (t) => {
  t.plan(wrongWords.length);
  for (const { condition, rules, budget, broken } of wrongWords) {
    const { violation } = explore(initialWorld('running', budget), { ...realRules, ...rules });
    t.equal(violation?.rule, broken, condition);
  }
});
