import t from 'tap';
import { NO_COUNTERS, type Counters } from '../src/engine/counters.ts';
import { RoundHistory } from '../src/round-history.ts';

const BULK: Counters = {
  ...NO_COUNTERS,
  normal: 10,
  zero: 6,
  xbzrlePages: 0,
  xbzrleBytes: 0,
  transferredBytes: 42_000,
};
const LATER: Counters = {
  ...NO_COUNTERS,
  normal: 12,
  zero: 6,
  xbzrlePages: 3,
  xbzrleBytes: 90,
  transferredBytes: 51_000,
};

void t.test('a round is what came since the round before it', async (t) => {
  const history = new RoundHistory(1000);
  history.applied({ type: 'round-applied', round: 0, roots: [], counters: BULK, rssAnonBytes: 7 }, 1250);
  history.applied({ type: 'round-applied', round: 1, roots: [], counters: LATER, rssAnonBytes: 8 }, 1300);
  history.markFinal(1);
  t.match(history.rounds, [
    {
      round: 0,
      final: false,
      normal: 10,
      duplicate: 6,
      'xbzrle-pages': 0,
      bytes: 42_000,
      ms: 250,
      'rss-anon': 7,
    },
    {
      round: 1,
      final: true,
      normal: 2,
      duplicate: 0,
      'xbzrle-pages': 3,
      'xbzrle-bytes': 90,
      bytes: 9000,
      candidates: 5,
      ms: 50,
      'rss-anon': 8,
    },
  ]);
});
