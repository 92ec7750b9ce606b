/**
 * The shell's answers: every refusal is a problem+json with its name, and reaches no handler.
 */
import { problemName, ProblemError } from '@pageferry/protocol';
import { pino } from 'pino';
import t from 'tap';
import { allowedHosts, createApp } from '../src/index.ts';
import { makeSourceApp, MIGRATION_ID } from './source-app.ts';

const TOKEN = 'a-token-of-sufficient-length';
const MIGRATE = {
  uri: 'tcp:127.0.0.1:7800',
  token: 't',
  blocks: [{ id: 'pc.ram', path: '/dev/shm/guest.ram' }],
};
const JSON_TYPE = { 'content-type': 'application/json' };
const loopback = allowedHosts({ kind: 'tcp', host: '127.0.0.1', port: 7801 });

type Refusal = {
  readonly what: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly payload?: string;
  readonly headers?: Record<string, string>;
  readonly token?: string;
  readonly status: number;
  readonly name: string;
};

const post = { method: 'POST', url: '/migrate' } as const;
const good = { ...post, payload: JSON.stringify(MIGRATE), headers: JSON_TYPE } as const;

const refusals: readonly Refusal[] = [
  { what: 'unknown path', method: 'GET', url: '/nowhere', status: 404, name: 'not-found' },
  { what: "the other side's path", method: 'POST', url: '/incoming', status: 404, name: 'not-found' },
  { what: 'wrong method', method: 'GET', url: '/migrate', status: 405, name: 'method-not-allowed' },
  {
    what: 'wrong method, query',
    method: 'DELETE',
    url: '/status?a=1',
    status: 405,
    name: 'method-not-allowed',
  },
  { what: 'malformed URL', method: 'GET', url: '/%zz', status: 400, name: 'bad-request' },
  { what: 'no body', ...post, status: 400, name: 'invalid-body' },
  { what: 'empty JSON', ...post, payload: '', headers: JSON_TYPE, status: 400, name: 'invalid-body' },
  { what: 'malformed JSON', ...good, payload: '{"uri":', status: 400, name: 'invalid-body' },
  { what: 'not an object', ...good, payload: '[]', status: 400, name: 'invalid-body' },
  { what: 'unknown field', ...good, payload: '{"speed":1}', status: 400, name: 'invalid-body' },
  {
    what: 'own __proto__ key',
    ...good,
    payload: `{"__proto__":{},${JSON.stringify(MIGRATE).slice(1)}`,
    status: 400,
    name: 'invalid-body',
  },
  {
    what: 'field of a later version',
    ...good,
    payload: JSON.stringify({ ...MIGRATE, tls: {} }),
    status: 400,
    name: 'unsupported-field',
  },
  {
    what: 'a form, as a web page could send it',
    ...good,
    headers: { 'content-type': 'text/plain' },
    status: 415,
    name: 'wrong-content-type',
  },
  {
    what: 'too large',
    ...good,
    payload: JSON.stringify('x'.repeat(1024 * 1024)),
    status: 413,
    name: 'body-too-large',
  },
  {
    what: 'rebound name',
    ...good,
    headers: { ...JSON_TYPE, host: 'evil.example:7801' },
    status: 421,
    name: 'wrong-host',
  },
  {
    what: 'another origin, no body',
    method: 'POST',
    url: '/cancel',
    headers: { origin: 'http://evil.example' },
    status: 403,
    name: 'wrong-origin',
  },
  {
    what: 'sandboxed origin',
    method: 'POST',
    url: '/cancel',
    headers: { origin: 'null' },
    status: 403,
    name: 'wrong-origin',
  },
  { what: 'no token', ...good, token: TOKEN, status: 401, name: 'unauthorized' },
  {
    what: 'wrong token',
    ...good,
    headers: { ...JSON_TYPE, authorization: `Bearer ${TOKEN}x` },
    token: TOKEN,
    status: 401,
    name: 'unauthorized',
  },
  {
    what: 'no token, unknown path',
    method: 'GET',
    url: '/x',
    token: TOKEN,
    status: 401,
    name: 'unauthorized',
  },
  {
    what: 'no token, metrics',
    method: 'GET',
    url: '/metrics',
    token: TOKEN,
    status: 401,
    name: 'unauthorized',
  },
  {
    what: 'cache size not a power of two',
    method: 'PUT',
    url: '/cache-size',
    payload: '{"cache-size":5000}',
    headers: JSON_TYPE,
    status: 400,
    name: 'invalid-body',
  },
  {
    what: 'a parameter that is not live',
    method: 'PATCH',
    url: '/parameters',
    payload: '{"max-rounds":3}',
    headers: JSON_TYPE,
    status: 400,
    name: 'invalid-body',
  },
];

await t.test('refusals are problems and reach no handler', async (t) => {
  t.plan(refusals.length);
  for (const { what, status, name, token, ...request } of refusals) {
    const { app, bodies } = makeSourceApp({ token: token ?? null, isHostAllowed: loopback });
    const response = await app.inject({
      ...request,
      headers: { host: '127.0.0.1:7801', ...request.headers },
    });
    const problem: Record<string, unknown> = response.json();
    t.match(
      {
        status: response.statusCode,
        type: response.headers['content-type'],
        name: problemName(String(problem['type'])),
        body: problem,
        calls: bodies.length,
      },
      {
        status,
        type: 'application/problem+json',
        name,
        body: { status, title: String, detail: /./, retryable: false, peer: 'source' },
        calls: 0,
      },
      what,
    );
    await app.close();
  }
});

await t.test('a good body reaches its handler complete, and 202 says where to look', async (t) => {
  const { app, bodies } = makeSourceApp({ token: TOKEN, isHostAllowed: loopback });
  const response = await app.inject({
    ...good,
    headers: {
      ...JSON_TYPE,
      host: 'localhost:7801',
      origin: 'http://localhost:7801',
      authorization: `Bearer ${TOKEN}`,
    },
  });
  t.equal(response.statusCode, 202);
  t.equal(response.headers['location'], '/status');
  t.equal(response.headers['cache-control'], 'no-store');
  t.match(response.json(), { 'migration-id': MIGRATION_ID, parameters: { 'downtime-limit': 300 } });
  t.match(bodies, [{ guest: { type: 'none' }, tracker: { type: 'scan' }, capabilities: { xbzrle: true } }]);
  await app.close();
});

await t.test('the Allow header comes with 405', async (t) => {
  const { app } = makeSourceApp();
  const response = await app.inject({ method: 'POST', url: '/cache-size' });
  t.equal(response.headers['allow'], 'GET, PUT');
  await app.close();
});

await t.test('an optional body may be absent', async (t) => {
  const { app, bodies } = makeSourceApp();
  t.equal((await app.inject({ method: 'POST', url: '/cancel' })).statusCode, 202);
  t.equal(
    (await app.inject({ method: 'POST', url: '/cancel', payload: '', headers: JSON_TYPE })).statusCode,
    202,
  );
  t.strictSame(bodies, [{}, {}]);
  await app.close();
});

await t.test("a handler's problem is answered as it is, the peer that it names stays", async (t) => {
  const { app } = makeSourceApp({}, () => {
    throw new ProblemError('image-size', 'guest-b.ram is too short', {
      peer: 'destination',
      phase: 'connecting',
    });
  });
  const response = await app.inject({ method: 'POST', url: '/cancel' });
  t.equal(response.statusCode, 422);
  t.strictSame(response.json(), {
    type: 'urn:pageferry:problem:image-size',
    title: 'The memory image has the wrong size',
    status: 422,
    detail: 'guest-b.ram is too short',
    retryable: false,
    peer: 'destination',
    phase: 'connecting',
  });
  await app.close();
});

await t.test('an unexpected error is logged and not answered', async (t) => {
  const lines: string[] = [];
  const logger = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) });
  const { app } = makeSourceApp({ logger }, () => {
    throw new TypeError('a secret detail');
  });
  const response = await app.inject({ method: 'POST', url: '/cancel' });
  t.equal(response.statusCode, 500);
  t.equal(problemName(response.json().type), 'internal');
  t.notMatch(response.body, /secret/);
  t.match(lines.join(''), /a secret detail/);
  await app.close();
});

await t.test('health: livez always, readyz with reasons, both without a token', async (t) => {
  const reasons: string[] = [];
  const { app } = makeSourceApp({ token: TOKEN, notReadyReasons: () => reasons });
  t.strictSame((await app.inject('/livez')).json(), { status: 'ok', reasons: [] });
  t.equal((await app.inject('/readyz')).statusCode, 200);
  reasons.push('the journal is being recovered');
  const notReady = await app.inject('/readyz');
  t.equal(notReady.statusCode, 503);
  t.strictSame(notReady.json(), { status: 'not-ready', reasons: ['the journal is being recovered'] });
  t.equal((await app.inject('/livez')).statusCode, 200);
  await app.close();
});

await t.test('metrics are text', async (t) => {
  const { app } = makeSourceApp();
  const response = await app.inject('/metrics');
  t.equal(response.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  t.match(response.body, /^# HELP pageferry_info /);
  await app.close();
});

await t.test('a side with a missing route does not start', async (t) => {
  const app = createApp({
    logger: pino({ level: 'silent' }),
    side: 'destination',
    title: '',
    version: '',
    token: null,
    isHostAllowed: () => true,
    notReadyReasons: () => [],
  });
  await t.rejects(Promise.resolve(app.ready()), {
    message: /not implemented: POST \/incoming, GET \/status/,
  });
});
