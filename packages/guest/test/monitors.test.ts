// One connection a monitor, however many speak of it: QEMU serves one client, and a second one of ours would wait for us.
import t from 'tap';
import { join } from 'node:path';
import type { GuestHost } from '../src/guest.ts';
import { Monitors } from '../src/monitors.ts';
import type { QmpClient } from '../src/qmp-client.ts';
import { HANG_UP, ScriptedMonitor, socketFolder, type Teardown } from './scripted-monitor.ts';

const host: GuestHost = { peerPid: () => 7 };
const ask = (client: QmpClient): Promise<unknown> => client.execute('ask');

async function setUp(t: Teardown): Promise<{
  path: string;
  monitor: ScriptedMonitor;
  monitors: Monitors;
}> {
  const path = join(socketFolder(t), 'qmp');
  const monitor = await ScriptedMonitor.listen(t, path);
  monitor.answers.set('ask', () => 'answer');
  return { path, monitor, monitors: new Monitors(host) };
}

void t.test('those who use it at the same time share it, the last one closes it', async (t) => {
  t.plan(4);
  const { path, monitor, monitors } = await setUp(t);
  t.strictSame(await Promise.all([monitors.use(path, ask), monitors.use(path, ask)]), ['answer', 'answer']);
  t.equal(monitor.connectionCount, 1);
  const client = await monitors.use(path, async (used) => used);
  t.notOk(client.isOpen, 'nobody holds it');
  t.equal(monitor.connectionCount, 2);
});

void t.test('it stays while somebody holds it, and is made anew when it was lost', async (t) => {
  t.plan(6);
  const { path, monitor, monitors } = await setUp(t);
  const letGo = monitors.hold(path);
  const letGoToo = monitors.hold(path);
  await monitors.use(path, ask);
  const client = await monitors.use(path, async (used) => used);
  t.equal(monitor.connectionCount, 1);
  monitor.answers.set('ask', () => HANG_UP);
  await t.rejects(monitors.use(path, ask), {
    name: 'GuestError',
    fault: { code: 'monitor-lost', command: 'ask' },
  });
  monitor.answers.set('ask', () => 'again');
  t.equal(await monitors.use(path, ask), 'again');
  t.notOk(client.isOpen);
  const other = await monitors.use(path, async (used) => used);
  letGo();
  letGo();
  t.ok(other.isOpen, 'letting go twice is letting go once');
  letGoToo();
  t.notOk(other.isOpen);
});

void t.test('a connection that fails can be tried again', async (t) => {
  t.plan(2);
  const { path, monitor, monitors } = await setUp(t);
  const letGo = monitors.hold(path);
  t.teardown(letGo);
  monitor.answers.set('qmp_capabilities', () => HANG_UP);
  await t.rejects(monitors.use(path, ask), { name: 'GuestError', fault: { code: 'monitor-lost' } });
  monitor.answers.set('qmp_capabilities', () => ({}));
  t.equal(await monitors.use(path, ask), 'answer');
});
