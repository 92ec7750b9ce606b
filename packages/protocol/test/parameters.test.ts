/**
 * The parameter table: what is derived from it agrees with it, and every range and cross-check refuses.
 */
import t from 'tap';
import {
  CACHE_BYTES_MAX,
  defaultParameters,
  incomingParameters,
  liveParameters,
  migrationParameters,
  parameterRows,
} from '../src/index.ts';

await t.test('defaults', async (t) => {
  t.strictSame(defaultParameters(), {
    'max-bandwidth': 0,
    'downtime-limit': 300,
    'xbzrle-cache-size': 67_108_864,
    'xbzrle-stage': 'after-bulk',
    'xbzrle-eviction': 'age',
    'multifd-channels': 1,
    'min-rounds': 0,
    'max-rounds': 30,
    'on-no-convergence': 'cancel',
    'destination-reread': false,
    'connect-timeout': 5000,
    'hello-timeout': 5000,
    'ping-interval': 1000,
    'ping-timeout': 5000,
    'switchover-timeout': 30_000,
    'reconnect-limit': 0,
  });
});

await t.test('rows: one a parameter, with everything that the documentation prints', async (t) => {
  const rows = parameterRows();
  t.strictSame(
    rows.map(({ name }) => name),
    Object.keys(defaultParameters()),
  );
  for (const row of rows) {
    t.match(
      row,
      { unit: /./, description: /^[A-Z].*[^.]$/, default: /./, range: /^(?!undefined).+/ },
      row.name,
    );
  }
  const live = rows.filter((row) => row.live).map(({ name }) => name);
  t.strictSame(Object.keys(liveParameters.shape), live, 'PATCH takes the live ones');
  const destination = rows.filter((row) => row.sides.includes('destination')).map(({ name }) => name);
  t.strictSame(Object.keys(incomingParameters.shape), destination, "POST /incoming takes the destination's");
  t.match(
    rows.find(({ name }) => name === 'max-bandwidth'),
    { unit: 'bytes/s', default: '0', range: '0 to 2^53 - 1', live: true, sides: ['source'] },
  );
  t.match(
    rows.find(({ name }) => name === 'xbzrle-stage'),
    { range: 'after-bulk or always' },
  );
});

const accepted: readonly object[] = [
  {},
  { 'xbzrle-cache-size': 4096 },
  { 'xbzrle-cache-size': 2 ** 31 },
  { 'xbzrle-cache-size': CACHE_BYTES_MAX, 'multifd-channels': 16 },
  { 'min-rounds': 30, 'max-rounds': 30 },
  { 'downtime-limit': 0 },
];

const refused: readonly (readonly [body: object, path: string])[] = [
  [{ 'xbzrle-cache-size': 2048 }, 'xbzrle-cache-size'],
  [{ 'xbzrle-cache-size': 4097 }, 'xbzrle-cache-size'],
  [{ 'xbzrle-cache-size': 12_288 }, 'xbzrle-cache-size'],
  [{ 'xbzrle-cache-size': 0 }, 'xbzrle-cache-size'],
  [{ 'xbzrle-cache-size': 2 ** 32 }, 'xbzrle-cache-size'],
  [{ 'xbzrle-cache-size': 2 ** 36, 'multifd-channels': 16 }, 'xbzrle-cache-size'],
  [{ 'xbzrle-cache-size': '64M' }, 'xbzrle-cache-size'],
  [{ 'multifd-channels': 0 }, 'multifd-channels'],
  [{ 'multifd-channels': 17 }, 'multifd-channels'],
  [{ 'max-bandwidth': -1 }, 'max-bandwidth'],
  [{ 'max-bandwidth': 1.5 }, 'max-bandwidth'],
  [{ 'max-bandwidth': null }, 'max-bandwidth'],
  [{ 'downtime-limit': 2_000_001 }, 'downtime-limit'],
  [{ 'min-rounds': 31 }, 'min-rounds'],
  [{ 'max-rounds': 0 }, 'max-rounds'],
  [{ 'ping-interval': 5000 }, 'ping-interval'],
  [{ 'reconnect-limit': -1 }, 'reconnect-limit'],
  [{ 'xbzrle-stage': 'never' }, 'xbzrle-stage'],
];

await t.test('ranges', async (t) => {
  t.plan(accepted.length + refused.length);
  for (const body of accepted) t.ok(migrationParameters.safeParse(body).success, JSON.stringify(body));
  for (const [body, path] of refused) {
    const paths = migrationParameters.safeParse(body).error?.issues.map((issue) => issue.path.join('.'));
    t.strictSame(paths, [path], JSON.stringify(body));
  }
});

await t.test('PATCH: nothing is filled in, nothing is not enough', async (t) => {
  t.strictSame(liveParameters.parse({ 'max-bandwidth': 7 }), { 'max-bandwidth': 7 });
  t.notOk(liveParameters.safeParse({}).success);
  t.notOk(liveParameters.safeParse({ 'downtime-limit': -1 }).success);
  t.notOk(liveParameters.safeParse({ 'multifd-channels': 2 }).success);
});
