// The source's QEMU guest against a scripted monitor: what is said to QEMU, in which order, and what its answers mean.
import t from 'tap';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { connectQemuGuest, QemuGuest } from '../src/qemu-guest.ts';
import type { QmpTimes } from '../src/qmp-times.ts';
import { FakeQemu, HASTY } from './fake-qemu.ts';
import { HANG_UP, Refusal, SILENCE, socketFolder, type Teardown } from './scripted-monitor.ts';

const LIMIT_BYTES = 1024;

async function setUp(
  t: Teardown,
  times?: QmpTimes,
): Promise<{ qemu: FakeQemu; guest: QemuGuest; orders: () => string[] }> {
  const qemu = await FakeQemu.listen(t, join(socketFolder(t), 'qmp'), times);
  const guest = new QemuGuest(qemu.identity, qemu.context);
  t.teardown(() => guest.close());
  const orders = (): string[] =>
    qemu.monitor.log.filter((command) => !command.startsWith('query-') && command !== 'qmp_capabilities');
  return { qemu, guest, orders };
}

void t.test('is found by its monitor, and again by its identity', async (t) => {
  t.plan(5);
  const { qemu } = await setUp(t);
  const guest = await connectQemuGuest(qemu.qmp, qemu.context);
  t.strictSame(guest.identity(), { type: 'qemu', qmp: qemu.qmp, pid: 7, startTime: 4242, bootId: 'boot' });
  t.equal(await guest.runState(), 'running');
  const again = new QemuGuest(qemu.identity, qemu.context);
  t.equal(await again.runState(), 'running');
  t.equal(qemu.monitor.connectionCount, 1, 'on the one connection');
  await guest.close();
  await again.runState();
  t.equal(qemu.monitor.connectionCount, 2, 'which close has ended');
});

void t.test('pauses, saves, goes on', async (t) => {
  t.plan(7);
  const { qemu, guest, orders } = await setUp(t);
  qemu.capabilities.set('multifd', true);
  qemu.parameters['tls-creds'] = 'tls0';
  await guest.pause();
  t.equal(await guest.runState(), 'paused');
  const state = await guest.saveDeviceState(LIMIT_BYTES);
  t.strictSame(state, { format: 'qemu', bytes: Buffer.from('device state') });
  t.strictSame(
    [...qemu.capabilities],
    [
      ['x-ignore-shared', true],
      ['late-block-activate', false],
      ['multifd', false],
      ['return-path', false],
    ],
  );
  t.strictSame(qemu.parameters, { 'max-bandwidth': 2 ** 40, 'tls-creds': '' });
  await guest.resume();
  t.strictSame(orders(), [
    'stop',
    'migrate-set-capabilities',
    'migrate-set-parameters',
    'migrate',
    'cont',
    'announce-self',
    'migrate-set-capabilities',
    'migrate-set-parameters',
  ]);
  t.strictSame(qemu.capabilities.get('multifd'), true, 'what was changed is set back');
  t.strictSame(qemu.parameters, { 'max-bandwidth': 134217728, 'tls-creds': 'tls0' });
});

void t.test('nothing is left of the socket for the state', async (t) => {
  t.plan(2);
  const { qemu, guest } = await setUp(t);
  await guest.pause();
  let folder = '';
  let wasThere = false;
  const migrate = qemu.monitor.answers.get('migrate');
  qemu.monitor.answers.set('migrate', (given) => {
    folder = dirname(dirname(String(given['uri']).replace('unix:', '')));
    wasThere = existsSync(folder);
    return migrate?.(given);
  });
  await guest.saveDeviceState(LIMIT_BYTES);
  t.ok(wasThere);
  t.notOk(existsSync(folder));
});

void t.test('paused is what QEMU says, not what it was told', async (t) => {
  t.plan(1);
  const { qemu, guest } = await setUp(t);
  qemu.monitor.answers.set('stop', () => ({}));
  await t.rejects(guest.pause(), { name: 'GuestError', fault: { code: 'continued', pid: 7 } });
});

void t.test(
  'what another has paused stays paused, and its state can be saved once more after a rollback',
  async (t) => {
    t.plan(4);
    const { qemu, guest, orders } = await setUp(t);
    qemu.status = 'paused';
    await guest.pause();
    const state = await guest.saveDeviceState(LIMIT_BYTES);
    t.equal(qemu.status, 'postmigrate');
    t.equal(await guest.runState(), 'paused');
    t.equal(await guest.saveDeviceState(LIMIT_BYTES), state, 'QEMU gives it once');
    t.notOk(orders().includes('cont'));
  },
);

void t.test('a rollback whose disks are elsewhere says so, and can be tried again', async (t) => {
  t.plan(4);
  const { qemu, guest, orders } = await setUp(t);
  await guest.pause();
  await guest.saveDeviceState(LIMIT_BYTES);
  const cont = qemu.monitor.answers.get('cont');
  qemu.monitor.answers.set('cont', () => new Refusal('Failed to get "write" lock'));
  await t.rejects(guest.resume(), {
    name: 'GuestError',
    message: 'the guest could not be resumed: Failed to get "write" lock',
    fault: { code: 'resume-failed' },
  });
  t.notOk(orders().includes('announce-self'), 'a guest that does not run is not announced');
  if (cont !== undefined) qemu.monitor.answers.set('cont', cont);
  await guest.resume();
  t.equal(qemu.status, 'running');
  t.equal(orders().at(-3), 'announce-self');
});

void t.test('resume cancels a save that is under way first, also one of a dead daemon', async (t) => {
  t.plan(2);
  const { qemu, guest, orders } = await setUp(t);
  qemu.status = 'paused';
  qemu.migration = { status: 'active' };
  await guest.resume();
  t.strictSame(orders(), ['migrate_cancel', 'cont', 'announce-self']);
  await guest.resume();
  t.equal(orders().length, 3, 'a guest that runs is left alone');
});

void t.test('an announcement that is refused is no failure of the resume', async (t) => {
  t.plan(1);
  const { qemu, guest } = await setUp(t);
  qemu.status = 'paused';
  qemu.monitor.answers.set('announce-self', () => new Refusal('no network'));
  await guest.resume();
  t.equal(qemu.status, 'running');
});

void t.test('a save that fails says why, and leaves no migration under way', async (t) => {
  const table = [
    [
      'QEMU fails',
      { status: 'failed', 'error-desc': 'a device says no' },
      /QEMU says failed: a device says no/,
    ],
    ['somebody cancels it', { status: 'cancelled' }, /QEMU says cancelled: no reason/],
    ['QEMU does not connect', { status: 'active' }, /did not connect/],
  ] as const;
  t.plan(table.length * 2 + 5);
  for (const [name, migration, message] of table) {
    const { qemu, guest } = await setUp(t);
    await guest.pause();
    qemu.monitor.answers.set('migrate', () => {
      qemu.migration = migration;
      return {};
    });
    await t.rejects(
      guest.saveDeviceState(LIMIT_BYTES),
      { name: 'GuestError', fault: { code: 'device-state-failed' }, message },
      name,
    );
    t.not(qemu.migration['status'], 'active');
  }
  const { qemu, guest } = await setUp(t);
  await t.rejects(guest.saveDeviceState(LIMIT_BYTES), { name: 'GuestError', message: /not paused/ });
  t.equal(qemu.capabilities.get('x-ignore-shared'), false, 'nothing was changed for it');
  await guest.pause();
  qemu.state = Buffer.alloc(LIMIT_BYTES + 1);
  await t.rejects(guest.saveDeviceState(LIMIT_BYTES), {
    name: 'GuestError',
    fault: { code: 'device-state-too-large', limitBytes: LIMIT_BYTES },
  });
  qemu.status = 'postmigrate';
  await t.rejects(guest.saveDeviceState(LIMIT_BYTES), { name: 'GuestError', message: /saved before/ });
  await guest.resume();
  t.equal(qemu.status, 'running', 'and the guest can go on');
});

void t.test('everything sent is not yet completed', async (t) => {
  t.plan(1);
  const { qemu, guest } = await setUp(t);
  await guest.pause();
  let laterCount = 0;
  qemu.monitor.answers.set('query-migrate', () => {
    if (qemu.migration['status'] !== 'completed') return qemu.migration;
    laterCount += 1;
    return laterCount < 10 ? { status: 'device' } : { status: 'failed', 'error-desc': 'at the very end' };
  });
  await t.rejects(guest.saveDeviceState(LIMIT_BYTES), {
    name: 'GuestError',
    fault: { code: 'device-state-failed' },
    message: /at the very end/,
  });
});

void t.test('the end of QEMU is told from a lost connection', async (t) => {
  t.plan(4);
  const { qemu, guest } = await setUp(t);
  qemu.monitor.answers.set('stop', () => HANG_UP);
  await t.rejects(guest.pause(), { name: 'GuestError', fault: { code: 'monitor-lost', command: 'stop' } });
  qemu.monitor.answers.set('stop', () => {
    qemu.end();
    return HANG_UP;
  });
  await t.rejects(guest.pause(), { name: 'GuestError', fault: { code: 'ended', pid: 7 } });
  await t.rejects(guest.resume(), { name: 'GuestError', fault: { code: 'ended', pid: 7 } });
  const recycled = new QemuGuest({ ...qemu.identity, startTime: 1 }, qemu.context);
  await t.rejects(recycled.resume(), { name: 'GuestError', fault: { code: 'ended', pid: 7 } });
});

void t.test('a monitor that another process answers is not spoken to', async (t) => {
  t.plan(2);
  const { qemu } = await setUp(t);
  qemu.processes.identityOf = (pid) => ({ pid, startTime: 4242, bootId: 'boot' });
  const other = new QemuGuest({ ...qemu.identity, pid: 8 }, qemu.context);
  await t.rejects(other.resume(), {
    name: 'GuestError',
    fault: { code: 'monitor-foreign', path: qemu.qmp, pid: 8, found: 7 },
  });
  t.strictSame(qemu.monitor.log, ['qmp_capabilities']);
});

void t.test('a QEMU that hangs is given up, by name, and can still be ended', async (t) => {
  t.plan(3);
  const { qemu, guest } = await setUp(t, HASTY);
  guest.keepMonitor();
  qemu.monitor.answers.set('stop', () => SILENCE);
  await t.rejects(guest.pause(), {
    name: 'GuestError',
    fault: { code: 'monitor-timeout', command: 'stop', path: qemu.qmp },
  });
  qemu.monitor.version = null;
  await t.rejects(guest.resume(), { name: 'GuestError', fault: { code: 'monitor-busy', path: qemu.qmp } });
  const signal = qemu.processes.signal.bind(qemu.processes);
  qemu.processes.signal = (pid, name) => {
    signal(pid, name);
    qemu.end();
  };
  await guest.leave('quit');
  t.strictSame(qemu.processes.signals, [[7, 'SIGKILL']]);
});

void t.test('is left as asked for', async (t) => {
  t.plan(3);
  const { qemu, guest, orders } = await setUp(t);
  await guest.pause();
  await guest.leave('leave');
  t.strictSame(orders(), ['stop']);
  await guest.leave('quit');
  t.strictSame(orders(), ['stop', 'quit']);
  t.strictSame(qemu.processes.signals, [], 'it ended by itself');
});

void t.test('holds and releases without announcing', async (t) => {
  t.plan(1);
  const { guest, orders } = await setUp(t);
  await guest.hold();
  await guest.release();
  t.strictSame(orders(), ['stop', 'cont']);
});
