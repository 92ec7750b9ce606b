import t from 'tap';
import { decide, predict, type Measured, type Policy } from '../src/convergence.ts';

const MIB = 1024 * 1024;

const measured: Measured = {
  round: 2,
  isGuestStopped: false,
  changedPages: 100,
  wireBytes: MIB,
  roundMs: 100,
  previousRoundMs: 100,
  scanMs: 50,
  bandwidth: 100 * MIB,
  deviceStateMs: 0,
  journalMs: 1,
  roundTripMs: 0.5,
  rereadMs: 0,
};
const policy: Policy = { downtimeLimitMs: 300, minRounds: 0, maxRounds: 30, onNoConvergence: 'cancel' };

void t.test('the predicted pause has all its parts', (t) => {
  t.same(predict({ ...measured, deviceStateMs: 30, rereadMs: 40 }), {
    totalMs: 10 + 90 + 30 + 1 + 1,
    wireMs: 10,
    scanMs: 90,
    deviceStateMs: 30,
    journalMs: 1,
    roundTripsMs: 1,
  });
  t.equal(predict({ ...measured, roundMs: 300 }).wireMs, 30, 'a longer round has let more be written');
  t.equal(predict({ ...measured, roundMs: 10 }).wireMs, 10, 'a shorter one is not taken for less');
  t.end();
});

const cases: readonly [
  name: string,
  changes: Partial<Measured>,
  policy: Partial<Policy>,
  action: string,
  because: RegExp,
][] = [
  ['bulk stage', { round: 0, wireBytes: 0 }, {}, 'continue', /bulk stage/],
  ['nobody runs in it', { round: 0, isGuestStopped: true, scanMs: 9999 }, {}, 'switchover', /nobody/],
  ['within the limit', {}, {}, 'switchover', /62 ms, within downtime-limit 300 ms/],
  ['exactly at the limit', {}, { downtimeLimitMs: 62 }, 'switchover', /within/],
  ['too much to send', { wireBytes: 100 * MIB }, {}, 'continue', /100 pages changed in 100 ms/],
  ['too few rounds', {}, { minRounds: 3 }, 'continue', /min-rounds/],
  ['rounds used up', { round: 30, wireBytes: 100 * MIB }, {}, 'give-up', /max-rounds.*cancel/],
  [
    'rounds used up, forced',
    { round: 30, wireBytes: 100 * MIB },
    { onNoConvergence: 'switchover' },
    'switchover',
    /max-rounds/,
  ],
  [
    'min-rounds before max-rounds',
    { round: 30, wireBytes: 100 * MIB },
    { minRounds: 30, onNoConvergence: 'switchover' },
    'switchover',
    /max/,
  ],
  ['a scan too long, once', { scanMs: 400, wireBytes: 0 }, {}, 'continue', /predicted pause/],
  [
    'a scan too long, always',
    { round: 3, scanMs: 400, wireBytes: 0 },
    {},
    'give-up',
    /scan alone takes 400 ms/,
  ],
  [
    'a scan and a reread too long, always',
    { round: 3, scanMs: 200, rereadMs: 200, wireBytes: 0 },
    {},
    'give-up',
    /the final scan and the destination's reread take 400 ms/,
  ],
  [
    'a scan too long, but more to send',
    { round: 3, scanMs: 400, wireBytes: 10 * MIB },
    {},
    'continue',
    /predicted/,
  ],
  ['nothing measured of the line', { bandwidth: 0, wireBytes: 0 }, {}, 'switchover', /within/],
];

void t.test('decisions', (t) => {
  t.plan(cases.length * 2);
  for (const [name, changes, rules, action, because] of cases) {
    const decision = decide({ ...measured, ...changes }, { ...policy, ...rules });
    t.equal(decision.action, action, name);
    t.match(decision.because, because, name);
  }
});
