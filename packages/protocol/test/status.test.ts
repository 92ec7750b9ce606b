/**
 * The status: QMP's words and keys, exactly, and that phases map to them.
 */
import t from 'tap';
import {
  idleStatus,
  migrationStatus,
  phase,
  phaseStatus,
  ramStatus,
  statusWord,
  xbzrleCacheStatus,
} from '../src/index.ts';

const IDLE = idleStatus('destination');

await t.test('every phase has a word, every word has a phase', async (t) => {
  t.strictSame(Object.keys(phaseStatus), phase.options);
  t.strictSame(new Set(Object.values(phaseStatus)), new Set(statusWord.options));
});

await t.test("QMP's keys", async (t) => {
  t.strictSame(Object.keys(migrationStatus.shape), [
    'status',
    'total-time',
    'downtime',
    'expected-downtime',
    'setup-time',
    'ram',
    'xbzrle-cache',
    'error-desc',
    'blocked-reasons',
    'socket-address',
    'pageferry',
  ]);
  t.strictSame(Object.keys(ramStatus.shape), [
    'transferred',
    'remaining',
    'total',
    'duplicate',
    'normal',
    'normal-bytes',
    'dirty-pages-rate',
    'mbps',
    'dirty-sync-count',
    'page-size',
    'pages-per-second',
    'precopy-bytes',
    'downtime-bytes',
  ]);
  t.strictSame(Object.keys(xbzrleCacheStatus.shape), [
    'cache-size',
    'bytes',
    'pages',
    'cache-miss',
    'cache-miss-rate',
    'encoding-rate',
    'overflow',
  ]);
});

const invalid: readonly (readonly [what: string, status: unknown])[] = [
  ['a word of ours', { ...IDLE, status: 'prepared' }],
  ['a phase that is none', { ...IDLE, pageferry: { ...IDLE.pageferry, phase: 'waiting' } }],
  ['more than everything', { ...IDLE, pageferry: { ...IDLE.pageferry, coverage: 1.01 } }],
  ['not a number', { ...IDLE, pageferry: { ...IDLE.pageferry, coverage: Number.NaN } }],
  ['a proof that is none', { ...IDLE, pageferry: { ...IDLE.pageferry, verified: ['verified'] } }],
  [
    'a root that is none',
    { ...IDLE, pageferry: { ...IDLE.pageferry, roots: [{ block: 'a', round: 0, source: 'x' }] } },
  ],
  ['a port as number', { ...IDLE, 'socket-address': [{ type: 'inet', host: '::1', port: 1 }] }],
];

await t.test('statuses', async (t) => {
  t.plan(invalid.length + 1);
  t.strictSame(migrationStatus.parse(IDLE), IDLE);
  for (const [what, status] of invalid) t.notOk(migrationStatus.safeParse(status).success, what);
});
