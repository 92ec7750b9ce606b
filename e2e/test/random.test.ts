/**
 * Randomised runs, one after another on the same two daemons: whatever the image, the workload, the parameters and the
 * operator's meddling, the guest moves once and with all of its memory. e2e/src/random-main.ts does any number of them.
 */
import t from 'tap';
import { DaemonPair } from '../src/daemon-pair.ts';
import { describeFailure, isCounted, summarize } from '../src/random-report.ts';
import { runRandom, type RandomResult } from '../src/random-run.ts';

const RUN_COUNT = 15;
const FIRST_SEED = 1;

void t.test(`${RUN_COUNT} randomised runs`, async (t) => {
  const pair = await DaemonPair.start();
  t.teardown(() => pair.end());
  const results: RandomResult[] = [];
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUN_COUNT; seed += 1) {
    const result = await runRandom(pair, seed);
    results.push(result);
    t.same(result.problems, [], `seed ${seed}`);
    if (result.problems.length > 0) t.comment(describeFailure(result));
  }
  t.comment(summarize(results));
  // On a busy machine a guest may not get to write between the last round and the pause.
  t.ok(results.filter(isCounted).length >= RUN_COUNT / 2, 'the guest wrote until the pause in most of them');
});
