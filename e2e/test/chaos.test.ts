/**
 * Runs of the chaos runner that nothing befalls, one after another on the same two daemons: whatever the image, the
 * workload, the parameters and the operator's meddling, the guest moves once and with all of its memory.
 * `npm run test:chaos` does any number of them, with faults.
 */
import t from 'tap';
import { DaemonPair } from '../src/daemon-pair.ts';
import { chaosPlan } from '../src/chaos/plan.ts';
import { isCounted, summarize } from '../src/chaos/report.ts';
import { runChaos, type ChaosResult } from '../src/chaos/run.ts';

const RUN_COUNT = 10;
const FIRST_SEED = 1;
const OPTIONS = { faults: ['none'], tracker: 'scan', streams: { least: 1, most: 3 } } as const;

void t.test(`${RUN_COUNT} runs without a fault`, async (t) => {
  const pair = await DaemonPair.start();
  t.teardown(() => pair.end());
  const results: ChaosResult[] = [];
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUN_COUNT; seed += 1) {
    const result = await runChaos(pair, chaosPlan(seed, OPTIONS), () => undefined);
    results.push(result);
    t.same(result.problems, [], `seed ${seed}`);
    t.equal(result.outcome, 'completed', 'and nothing kept it from completing');
    if (result.problems.length > 0) t.comment(JSON.stringify(result.plan, undefined, 2));
  }
  t.comment(summarize(results));
  // On a busy machine a guest may not get to write between the last round and the pause.
  t.ok(results.filter(isCounted).length >= RUN_COUNT / 2, 'the guest wrote until the pause in most of them');
});
