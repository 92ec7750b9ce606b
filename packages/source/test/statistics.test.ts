import t from 'tap';
import { NO_COUNTERS, Statistics } from '../src/statistics.ts';
import type { RoundScope } from '@pageferry/memory';
import type { Counters } from '../src/engine/counters.ts';

const PAGE = 4096;
const counters = (changes: Partial<Counters>): Counters => ({ ...NO_COUNTERS, ...changes });

function withRounds(): Statistics {
  const statistics = new Statistics(100 * PAGE);
  const bulk = counters({
    normal: 60,
    zero: 40,
    transferredBytes: 60 * PAGE,
    roundPages: 100,
    roundScanMs: 20,
  });
  const second = counters({
    normal: 70,
    zero: 40,
    xbzrlePages: 10,
    xbzrleBytes: 260,
    cacheMiss: 10,
    transferredBytes: 3 * 1024 * 1024,
    roundPages: 100,
    roundScanMs: 10,
  });
  statistics.rounds.push({
    round: 0,
    isFinal: false,
    scope: 'everything',
    before: NO_COUNTERS,
    after: bulk,
    roundMs: 200,
    rssAnonBytes: 1,
  });
  statistics.rounds.push({
    round: 1,
    isFinal: false,
    scope: 'everything',
    before: bulk,
    after: second,
    roundMs: 100,
    rssAnonBytes: 2,
  });
  statistics.engineCounters = second;
  return statistics;
}

void t.test('coverage grows to one and never goes back', (t) => {
  const statistics = new Statistics(100 * PAGE);
  statistics.engineCounters = counters({ roundPages: 30 });
  t.equal(statistics.coverage, 0.3);
  statistics.engineCounters = counters({ roundPages: 20 });
  t.equal(statistics.coverage, 0.3);
  statistics.rounds.push({
    round: 0,
    isFinal: false,
    scope: 'everything',
    before: NO_COUNTERS,
    after: NO_COUNTERS,
    roundMs: 1,
    rssAnonBytes: 0,
  });
  t.equal(statistics.coverage, 1);
  t.end();
});

void t.test('a round is the difference of two totals', (t) => {
  const statistics = withRounds();
  const last = statistics.lastRound;
  t.ok(last);
  if (last === undefined) return;
  t.equal(Statistics.changedPages(last), 20);
  t.match(statistics.roundStatus(last), {
    round: 1,
    normal: 10,
    duplicate: 0,
    'xbzrle-pages': 10,
    'xbzrle-bytes': 260,
    'cache-miss': 10,
    'dirty-pages-rate': 100,
  });
  t.equal(statistics.dirtyPagesRate, 100, '20 pages written in the 200 ms of the bulk stage');
  t.equal(statistics.scanMs(100), 10, "the bulk stage's scan has the sending in it");
  t.equal(statistics.bitsMs, 0);
  t.end();
});

void t.test('the final scan is known from samples, where later rounds only read bits', (t) => {
  const statistics = new Statistics(100 * PAGE);
  t.equal(statistics.scanMs(100), 0);
  const round = (scope: RoundScope, changes: Partial<Counters>): void => {
    const { length } = statistics.rounds;
    const after = counters(changes);
    statistics.rounds.push({
      round: length,
      isFinal: false,
      scope,
      before: NO_COUNTERS,
      after,
      roundMs: 1,
      rssAnonBytes: 0,
    });
  };
  round('everything', { roundScanMs: 90 });
  t.equal(statistics.scanMs(100), 90, 'nothing better is known');
  round('written', { roundScanMs: 2, sampledPages: 10, sampledMs: 5 });
  t.equal(statistics.scanMs(100), 50);
  round('written-or-unmapped', { roundScanMs: 3, sampledPages: 10, sampledMs: 4 });
  t.equal(statistics.scanMs(100), 40, 'the best of them');
  t.equal(statistics.bitsMs, 3, 'the last: bits only become more');
  round('written', { roundScanMs: 4 });
  t.equal(statistics.scanMs(100), 40, 'a round without a sample says nothing');
  t.same(
    statistics.rounds.map((facts) => statistics.roundStatus(facts).tracker),
    ['scan', 'soft-dirty', 'soft-dirty', 'soft-dirty'],
  );
  round('everything', { roundScanMs: 60 });
  t.equal(statistics.scanMs(100), 60, 'a scan of everything is what the final one will be');
  t.end();
});

void t.test('QMP fields', (t) => {
  const statistics = withRounds();
  const ram = statistics.ram(1000, false);
  t.match(ram, {
    remaining: 20 * PAGE,
    total: 100 * PAGE,
    duplicate: 40,
    normal: 70,
    'normal-bytes': 70 * PAGE,
    'dirty-sync-count': 2,
    'pages-per-second': 120,
  });
  t.equal(statistics.ram(1000, true).remaining, 0);
  const cache = statistics.xbzrleCache(4096);
  t.match(cache, {
    'cache-size': 4096,
    bytes: 260,
    pages: 10,
    'cache-miss': 10,
    'cache-miss-rate': 0.5,
    overflow: 0,
  });
  t.equal(cache['encoding-rate'], (10 * PAGE) / 260);
  t.ok(Number.isFinite(new Statistics(0).ram(0, false).mbps), 'no NaN before anything was measured');
  t.equal(new Statistics(0).xbzrleCache(0)['cache-miss-rate'], 0);
  t.end();
});

void t.test('the line is known from little, where there is no more', (t) => {
  const statistics = new Statistics(100 * PAGE);
  t.equal(statistics.bandwidth, 0, 'nothing was sent');
  const round = (bytes: number, roundMs: number): void => {
    const before = statistics.counters;
    statistics.engineCounters = counters({ transferredBytes: before.transferredBytes + bytes });
    const { length } = statistics.rounds;
    const after = statistics.counters;
    statistics.rounds.push({
      round: length,
      isFinal: false,
      scope: 'everything',
      before,
      after,
      roundMs,
      rssAnonBytes: 0,
    });
  };
  round(PAGE, 100);
  t.equal(statistics.bandwidth, 10 * PAGE);
  round(2 ** 21, 1000);
  t.equal(statistics.bandwidth, 2 ** 21, 'a round with enough counts alone');
  round(PAGE, 0.001);
  t.equal(statistics.bandwidth, 2 ** 21);
  t.end();
});
