/**
 * Real listeners: TCP on port 0, UNIX sockets with their permissions and leftovers, bytes that are not HTTP.
 */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import t, { type Test } from 'tap';
import { allowedHosts, listenApi, ManagementError, parseApiAddress } from '../src/index.ts';
import { makeSourceApp } from './source-app.ts';

await t.test('tcp: port 0 gives the real address, which answers', async (t) => {
  const address = parseApiAddress('tcp:127.0.0.1:0');
  const { app } = makeSourceApp({ isHostAllowed: allowedHosts(address) });
  const bound = await listenApi(app, address, null);
  t.match(bound, /^tcp:127\.0\.0\.1:[1-9]\d*$/);
  const response = await fetch(`http://${bound.slice('tcp:'.length)}/livez`);
  t.equal(response.status, 200);
  await response.body?.cancel();

  const second = makeSourceApp();
  await t.rejects(listenApi(second.app, parseApiAddress(bound), null), {
    message: /in use/,
    fault: { code: 'address-in-use', address: bound },
  });
  await second.app.close();
  await app.close();
});

await t.test('tcp beyond loopback needs a token', async (t) => {
  const { app } = makeSourceApp();
  const address = parseApiAddress('tcp:0.0.0.0:0');
  await t.rejects(listenApi(app, address, null), { fault: { code: 'address' }, message: /--api-token-file/ });
  t.match(await listenApi(app, address, 'a-token-of-sufficient-length'), /^tcp:0\.0\.0\.0:[1-9]/);
  await app.close();
});

await t.test('unix: for the owner only, any Host header, gone after close', async (t) => {
  const path = join(shortDirectory(t), 'api.sock');
  const address = parseApiAddress(`unix:${path}`);
  const { app } = makeSourceApp({ isHostAllowed: allowedHosts(address) });
  const umask = process.umask(0);
  t.teardown(() => process.umask(umask));
  t.equal(await listenApi(app, address, null), `unix:${path}`);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(process.umask(), 0, 'the umask is as it was');
  t.equal(await getOverUnix(path, 'whatever.example'), 200);

  const second = makeSourceApp();
  await t.rejects(listenApi(second.app, address, null), {
    message: /in use/,
    fault: { code: 'address-in-use' },
  });
  t.equal(await getOverUnix(path, 'localhost'), 200, 'the first still answers');
  await second.app.close();
  await app.close();
  t.throws(() => statSync(path), { code: 'ENOENT' });
});

await t.test('unix: a dead socket is replaced, a file is not', async (t) => {
  const directory = shortDirectory(t);
  const stale = join(directory, 'stale.sock');
  const program = `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', program]);
  t.ok(statSync(stale).isSocket(), 'there is a leftover');
  const { app } = makeSourceApp();
  await listenApi(app, parseApiAddress(`unix:${stale}`), null);
  t.equal(await getOverUnix(stale, 'localhost'), 200);
  await app.close();

  const file = join(directory, 'file');
  writeFileSync(file, 'precious');
  const second = makeSourceApp();
  await t.rejects(listenApi(second.app, parseApiAddress(`unix:${file}`), null), {
    fault: { code: 'listen' },
    message: /is not a socket/,
  });
  t.equal(statSync(file).size, 'precious'.length);
  await second.app.close();
});

await t.test('a directory that does not exist', async (t) => {
  const { app } = makeSourceApp();
  const address = parseApiAddress(`unix:${join(shortDirectory(t), 'none', 'api.sock')}`);
  await t.rejects(listenApi(app, address, null), ManagementError);
  await app.close();
});

await t.test('bytes that are not HTTP get a problem too', async (t) => {
  const { app } = makeSourceApp();
  const bound = await listenApi(app, parseApiAddress('tcp:127.0.0.1:0'), null);
  const socket = connect(Number(bound.split(':').at(-1)), '127.0.0.1');
  socket.end('PGFY\r\n\r\n');
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  t.match(answer, /^HTTP\/1\.1 400 [^]*application\/problem\+json[^]*urn:pageferry:problem:bad-request/);
  await app.close();
});

await t.test('close does not wait for an idle keep-alive connection', async (t) => {
  const { app } = makeSourceApp();
  const bound = await listenApi(app, parseApiAddress('tcp:127.0.0.1:0'), null);
  const socket = connect(Number(bound.split(':').at(-1)), '127.0.0.1');
  socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'data');
  await Promise.all([app.close(), once(socket.resume(), 'close')]);
  t.pass('closed');
});

await t.test('a listener of another program on the UNIX path is left alone', async (t) => {
  const path = join(shortDirectory(t), 'other.sock');
  const other = createServer((socket) => socket.destroy()).listen(path);
  await once(other, 'listening');
  const { app } = makeSourceApp();
  await t.rejects(listenApi(app, parseApiAddress(`unix:${path}`), null), {
    message: /in use/,
    fault: { code: 'address-in-use' },
  });
  t.ok(statSync(path).isSocket());
  await app.close();
  other.close();
});

/** A UNIX socket's path is short; tap's own directories are not. */
function shortDirectory(test: Pick<Test, 'teardown'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'pageferry-'));
  test.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

async function getOverUnix(socketPath: string, host: string): Promise<number | undefined> {
  const call = request({ socketPath, path: '/livez', headers: { host }, agent: false }).end();
  return new Promise((resolve, reject) => {
    call.once('error', reject);
    call.once('response', (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode));
    });
  });
}
