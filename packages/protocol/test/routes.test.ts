/**
 * The route table against the contract: which call is on which side.
 */
import t from 'tap';
import { type Route, routes, type Side } from '../src/index.ts';

const COMMON = [
  'GET /cache-size',
  'GET /livez',
  'GET /metrics',
  'GET /openapi.json',
  'GET /parameters',
  'GET /readyz',
  'GET /status',
  'PUT /cache-size',
];

const bySide: readonly (readonly [side: Side, calls: readonly string[]])[] = [
  [
    'source',
    [...COMMON, 'PATCH /parameters', 'POST /cancel', 'POST /continue', 'POST /migrate', 'POST /takeover'],
  ],
  ['destination', [...COMMON, 'POST /abort', 'POST /incoming', 'POST /takeover']],
];

await t.test('calls', async (t) => {
  t.plan(bySide.length + 2);
  const all = Object.values<Route>(routes);
  for (const [side, calls] of bySide) {
    const found = all.filter((route) => route.on.includes(side)).map(({ method, url }) => `${method} ${url}`);
    t.strictSame(found.sort(), [...calls].sort(), side);
  }
  const open = all.filter((route) => route.isPublic).map(({ url }) => url);
  t.strictSame(open.sort(), ['/livez', '/readyz'], 'without a token');
  const bodied = all.filter((route) => (route.method === 'GET') !== (route.body === null));
  t.strictSame(bodied, [], 'GET has no body, everything else has one');
});
