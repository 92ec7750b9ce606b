// A save against a resume that comes before it is over, and what two objects for one QEMU share.
import t from 'tap';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { QemuGuest } from '../src/qemu-guest.ts';
import { FakeQemu } from './fake-qemu.ts';
import { HANG_UP, socketFolder, type Teardown } from './scripted-monitor.ts';

const LIMIT_BYTES = 1024;
const ABANDONED = {
  name: 'GuestError',
  message: /the guest was resumed meanwhile/,
  fault: { code: 'device-state-failed' },
};

async function setUp(t: Teardown): Promise<{
  qemu: FakeQemu;
  guest: QemuGuest;
  /** Stands for the same QEMU, as after a restart of the daemon. */
  other: QemuGuest;
  orders: () => string[];
}> {
  const qemu = await FakeQemu.listen(t, join(socketFolder(t), 'qmp'));
  const guest = new QemuGuest(qemu.identity, qemu.context);
  const other = new QemuGuest(qemu.identity, qemu.context);
  t.teardown(() => Promise.all([guest.close(), other.close()]));
  const orders = (): string[] =>
    qemu.monitor.log.filter((command) => /^(stop|cont|migrate|migrate_cancel)$/.test(command));
  return { qemu, guest, other, orders };
}

/** The order is given when QEMU is asked this for the first time, and before it answers. */
function at(qemu: FakeQemu, command: string, order: () => unknown): void {
  const answer = qemu.monitor.answers.get(command);
  qemu.monitor.answers.set(command, (given) => {
    if (answer !== undefined) qemu.monitor.answers.set(command, answer);
    order();
    return answer?.(given);
  });
}

void t.test('a save that is resumed before it migrates does not migrate', async (t) => {
  const table = [
    ['query-status', 'by another object'],
    ['query-migrate-capabilities', 'by itself'],
    ['migrate-set-parameters', 'by itself'],
    ['migrate-set-parameters', 'by another object'],
  ] as const;
  t.plan(table.length * 5);
  for (const [moment, by] of table) {
    const { qemu, guest, other, orders } = await setUp(t);
    await guest.pause();
    let resumed: Promise<void> = Promise.resolve();
    at(qemu, moment, () => (resumed = (by === 'by itself' ? guest : other).resume()));
    await t.rejects(guest.saveDeviceState(LIMIT_BYTES), ABANDONED, `${moment}, ${by}`);
    await resumed;
    t.strictSame(orders(), ['stop', 'cont']);
    t.equal(qemu.status, 'running');
    t.equal(qemu.capabilities.get('x-ignore-shared'), false, 'set back after the save has ended');
    t.equal(qemu.parameters['max-bandwidth'], 134217728);
  }
});

void t.test('a save that migrates already is cancelled and ends, before settings are set back', async (t) => {
  t.plan(4);
  const { qemu, guest, orders } = await setUp(t);
  await guest.pause();
  const began = new EventEmitter();
  qemu.monitor.answers.set('migrate', () => {
    qemu.migration = { status: 'active' };
    setImmediate(() => began.emit('migrate'));
    return {};
  });
  const saved = t.rejects(guest.saveDeviceState(LIMIT_BYTES), ABANDONED);
  await once(began, 'migrate');
  await guest.resume();
  await saved;
  t.strictSame(new Set(orders()), new Set(['stop', 'migrate', 'migrate_cancel', 'cont']));
  t.equal(orders().at(-1), 'cont');
  t.equal(qemu.capabilities.get('x-ignore-shared'), false);
});

void t.test('a guest that runs by somebody else’s word is not stopped by the end of a save', async (t) => {
  t.plan(3);
  const { qemu, guest, orders } = await setUp(t);
  await guest.pause();
  const began = new EventEmitter();
  qemu.monitor.answers.set('migrate', () => {
    qemu.migration = { status: 'active' };
    qemu.status = 'running';
    setImmediate(() => began.emit('migrate'));
    return {};
  });
  const saved = t.rejects(guest.saveDeviceState(LIMIT_BYTES), ABANDONED);
  await once(began, 'migrate');
  await guest.resume();
  await saved;
  t.ok(orders().includes('migrate_cancel'));
  t.notOk(orders().includes('cont'));
});

void t.test('no save begins while a resume is under way', async (t) => {
  t.plan(3);
  const { qemu, guest, other, orders } = await setUp(t);
  await guest.pause();
  let saved: Promise<unknown> = Promise.resolve();
  at(qemu, 'cont', () => (saved = t.rejects(other.saveDeviceState(LIMIT_BYTES), ABANDONED)));
  await guest.resume();
  await saved;
  t.strictSame(orders(), ['stop', 'cont']);
  await guest.pause();
  t.match(await other.saveDeviceState(LIMIT_BYTES), { format: 'qemu' }, 'a later one does');
});

void t.test('what one object has changed another sets back', async (t) => {
  t.plan(3);
  const { qemu, guest, other } = await setUp(t);
  await guest.pause();
  await guest.saveDeviceState(LIMIT_BYTES);
  await guest.close();
  t.equal(qemu.capabilities.get('x-ignore-shared'), true);
  await other.resume();
  t.equal(qemu.capabilities.get('x-ignore-shared'), false);
  t.equal(qemu.parameters['max-bandwidth'], 134217728);
});

void t.test('the QEMU that has taken its place at the monitor has nothing of it', async (t) => {
  t.plan(2);
  const { qemu } = await setUp(t);
  const { saves } = qemu.context;
  const record = saves.of(qemu.identity, qemu.qmp);
  t.equal(saves.of(qemu.identity, qemu.qmp), record);
  t.not(saves.of({ ...qemu.identity, pid: 8 }, qemu.qmp), record);
});

void t.test('a state is given again only while the guest stood since, and was watched', async (t) => {
  const SAVED_BEFORE = { name: 'GuestError', message: /saved before/ };
  t.plan(5);
  const went = await setUp(t);
  await went.guest.pause();
  const [first, second] = await Promise.all([
    went.guest.saveDeviceState(LIMIT_BYTES),
    went.other.saveDeviceState(LIMIT_BYTES),
  ]);
  t.equal(second, first, 'QEMU gives it once');
  went.qemu.monitor.event('RESUME');
  await went.guest.runState();
  await t.rejects(went.guest.saveDeviceState(LIMIT_BYTES), SAVED_BEFORE);

  const unwatched = await setUp(t);
  await unwatched.guest.pause();
  await unwatched.guest.saveDeviceState(LIMIT_BYTES);
  const { answers } = unwatched.qemu.monitor;
  const status = answers.get('query-status');
  answers.set('query-status', () => HANG_UP);
  await t.rejects(unwatched.guest.runState(), { name: 'GuestError', fault: { code: 'monitor-lost' } });
  if (status !== undefined) answers.set('query-status', status);
  await t.rejects(unwatched.guest.saveDeviceState(LIMIT_BYTES), SAVED_BEFORE);

  const left = await setUp(t);
  await left.guest.pause();
  await left.guest.saveDeviceState(LIMIT_BYTES);
  await left.guest.leave('leave');
  await t.rejects(left.guest.saveDeviceState(LIMIT_BYTES), SAVED_BEFORE);
});
