/** What a seed decides: the same plan each time, every fault in every phase that is said of it, nothing else. */
import t from 'tap';
import { FAULT_PHASES, FAULTS, type ChaosPhase } from '../src/chaos/fault.ts';
import { parseCommandLine } from '../src/chaos/options.ts';
import { chaosPlan, type ChaosPlan } from '../src/chaos/plan.ts';

const SEED_COUNT = 10_000;
const ALL = parseCommandLine([]);
const plans = Array.from({ length: SEED_COUNT }, (_, seed) => chaosPlan(seed, ALL));

void t.test('a seed gives the same plan each time', (t) => {
  for (const seed of [0, 1, 77, 2 ** 32 - 1]) t.same(chaosPlan(seed, ALL), chaosPlan(seed, ALL));
  t.notSame(chaosPlan(1, ALL), chaosPlan(2, ALL));
  t.end();
});

void t.test('every fault comes in each of its phases and in no other', (t) => {
  for (const fault of FAULTS) {
    const expected: readonly ChaosPhase[] = FAULT_PHASES[fault];
    const drawn = plans.filter((plan) => plan.fault === fault);
    t.ok(drawn.length > 0, fault);
    t.same(
      new Set(drawn.flatMap(({ moment }) => moment?.phase ?? [])),
      new Set(expected),
      `phases of ${fault}`,
    );
  }
  t.end();
});

void t.test('plans can be carried out', (t) => {
  t.same(
    plans.filter((plan) => !isPossible(plan)),
    [],
  );
  const twos = chaosPlan(5, parseCommandLine(['--streams', '2']));
  t.equal(twos.parameters['multifd-channels'], 2);
  const streams = new Set(plans.map(({ parameters }) => parameters['multifd-channels']));
  t.same(streams, new Set([1, 2, 3]));
  t.end();
});

void t.test('the command that repeats a run gives the same plan', (t) => {
  const commandLine = parseCommandLine(['--seed', '9', '--streams', '2-3', '--faults', 'cut-all,delay']);
  const [, again = ''] = commandLine.commandFor(30).split(' -- ');
  const repeated = parseCommandLine(again.split(' '));
  t.equal(repeated.firstSeed, 30);
  t.equal(repeated.runCount, 1);
  t.same(chaosPlan(30, repeated), chaosPlan(30, commandLine));
  t.end();
});

void t.test('mistakes at the command line', (t) => {
  const rows = [
    ['--runs', 'many'],
    ['--seed', '-1'],
    ['--streams', '3-1'],
    ['--streams', '17'],
    ['--faults', 'earthquake'],
    ['--no-such-option', '1'],
  ];
  for (const args of rows) t.throws(() => parseCommandLine(args), args.join(' '));
  t.end();
});

function isPossible({ parameters, initial, second, moment }: ChaosPlan): boolean {
  return (
    parameters['min-rounds'] <= parameters['max-rounds'] &&
    initial.sizeBytes % 4096 === 0 &&
    (moment !== undefined || second === undefined)
  );
}
