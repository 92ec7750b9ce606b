import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultParameters, migrateBody } from '@pageferry/protocol';
import t from 'tap';
import { RequestFile } from '../src/request-file.ts';

const SESSION = 'ab'.repeat(16);

void t.test('a request is kept for its session, without the token', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pageferry-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'request.json');
  const file = new RequestFile(path);
  t.equal(file.find(SESSION), undefined, 'nothing yet');
  const body = migrateBody.parse({
    uri: 'tcp:127.0.0.1:7800',
    token: 'the-one-time-token',
    blocks: [{ id: 'pc.ram', path: '/dev/shm/a.ram' }],
  });
  const parameters = { ...defaultParameters(), 'reconnect-limit': 3 };
  file.keep({ sessionId: SESSION, body, parameters });
  t.match(file.find(SESSION), { sessionId: SESSION, parameters, body: { uri: body.uri } });
  t.equal(file.find('cd'.repeat(16)), undefined, 'not for another session');
  t.notMatch(readFileSync(path, 'utf8'), /the-one-time-token/);
  t.equal(statSync(path).mode & 0o777, 0o600);
  writeFileSync(path, '{');
  t.equal(file.find(SESSION), undefined, 'what cannot be read is not gone on with');
  file.forget();
  file.forget();
  t.equal(file.find(SESSION), undefined);
  t.end();
});
