/**
 * Everything that can be wrong with a request is said clearly and changes nothing: the guest goes on at the source,
 * status and images are as before, and after the whole table a normal migration succeeds.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { problemType, SUPPORTED_VERSIONS, type MigrationStatus } from '@pageferry/protocol';
import type { ApiClient } from '@pageferry/scripts/harness';
import { Rig } from '../src/rig.ts';
import { sayHello } from '../src/strangers.ts';
import { makeFixtures, type Fixtures } from './bad-input/fixtures.ts';
import { rows, type Row } from './bad-input/rows.ts';

const MIB = 2 ** 20;
const IMAGE_BYTES = 8 * MIB;

void t.test('requests that are refused', async (t) => {
  const rig = await Rig.start({ sizeBytes: IMAGE_BYTES });
  t.teardown(() => rig.end());
  const fixtures = await makeFixtures(rig, IMAGE_BYTES);
  t.teardown(() => fixtures.end());
  for (const row of rows) await t.test(row.name, (t) => isRefused(t, rig, fixtures, row));
  await t.test('a source of another version', (t) => refusesVersions(t, rig));
  await t.test('a hello of another session than its connection', (t) => refusesOtherSession(t, rig));
  await t.test('a second migration', (t) => refusesSecond(t, rig));

  const { warnings } = await rig.migrate();
  const isDoubted = warnings.some(({ name }) => name === 'guest-without-image');
  t.notOk(isDoubted, 'the process that writes is taken for the guest');
  await rig.untilMoved();
  t.same(await rig.findProblems(), [], 'after all of it a migration succeeds');
});

async function isRefused(t: Test, rig: Rig, fixtures: Fixtures, row: Row): Promise<void> {
  const armed = row.armed === undefined ? undefined : await rig.arm(row.armed(fixtures, rig));
  const before = await snapshot(rig);
  const { method, path, body } = row.request(rig, fixtures, armed?.token ?? '');
  const problem = await rig[row.on].api.refusal(method, path, body);
  t.equal(problem.type, problemType(row.problem), 'the problem has its name');
  t.equal(problem.status, row.status);
  t.match(problem.detail, row.detail, 'the detail says what is wrong');
  if (row.hint !== undefined) t.match(problem.hint, row.hint, 'the hint says what to do');
  if (row.peer !== undefined) t.equal(problem.peer, row.peer, 'it says which side found it');
  t.same(await snapshot(rig), before, 'nothing has changed');
  if (armed !== undefined) await rig.destination.api.abort();
  await rig.workload.untilItWrites();
}

/** A source that offers only versions to come: the answer has both lists, and the destination stays armed. */
async function refusesVersions(t: Test, rig: Rig): Promise<void> {
  const { uri, token } = await rig.arm();
  const before = await snapshot(rig);
  const answer = await sayHello(uri, token, { versions: [9999] });
  if (answer.type !== 'reject') throw new Error(`the answer is ${answer.type}`);
  t.equal(answer.problem.type, problemType('version-mismatch'));
  t.match(answer.problem.detail, /offered \[9999\], supported \[1\]/);
  t.same(answer.versions, SUPPORTED_VERSIONS);
  t.same(await snapshot(rig), before, 'nothing has changed');
  await rig.destination.api.abort();
}

async function refusesOtherSession(t: Test, rig: Rig): Promise<void> {
  const { uri, token } = await rig.arm();
  const before = await snapshot(rig);
  const answer = await sayHello(uri, token, { preambleSessionId: new Uint8Array(16).fill(8) });
  if (answer.type !== 'reject') throw new Error(`the answer is ${answer.type}`);
  t.equal(answer.problem.type, problemType('protocol-violation'));
  t.match(answer.problem.detail, /another session than its connection/);
  t.same(await snapshot(rig), before, 'nothing has changed');
  await rig.destination.api.abort();
}

/** While a migration runs, both sides refuse another one and name it. */
async function refusesSecond(t: Test, rig: Rig): Promise<void> {
  const { 'migration-id': id } = await rig.migrate({ parameters: { 'max-bandwidth': MIB } });
  const body = rig.migrateRequest('another');
  for (const [api, path, request] of [
    [rig.source.api, '/migrate', body],
    [rig.destination.api, '/incoming', rig.incomingRequest()],
  ] as const) {
    const problem = await api.refusal('POST', path, request);
    t.equal(problem.type, problemType('migration-running'), path);
    t.equal(problem.status, 409);
    t.equal(problem['migration-id'], id, 'it names the one that runs');
    t.equal((await api.status()).status, 'active', 'which goes on');
  }
  await rig.source.api.cancel();
  await rig.source.api.untilOver();
  await rig.destination.api.untilOver();
  await rig.workload.untilItWrites();
}

/** What a refused request must leave as it was. The source's image is not among it: the guest writes there. */
async function snapshot(rig: Rig): Promise<object> {
  return {
    source: await timelessStatus(rig.source.api),
    destination: await timelessStatus(rig.destination.api),
    cacheSizes: [await rig.source.api.cacheSize(), await rig.destination.api.cacheSize()],
    image: createHash('sha256').update(readFileSync(rig.destinationImage)).digest('hex'),
    files: readdirSync(rig.directory),
  };
}

async function timelessStatus(api: ApiClient): Promise<Omit<MigrationStatus, 'total-time'>> {
  const { 'total-time': _, ...rest } = await api.status();
  return rest;
}
