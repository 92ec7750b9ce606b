// The destination's QEMU against a scripted monitor: opened, loaded, told to run; and what is proven when it is not.
import t from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PreparedQemu } from '../src/prepared-qemu.ts';
import { IncomingQemuGuest } from '../src/qemu-incoming.ts';
import type { QmpTimes } from '../src/qmp-times.ts';
import { FakeQemu, HASTY } from './fake-qemu.ts';
import { HANG_UP, Refusal, SILENCE, socketFolder, type Teardown } from './scripted-monitor.ts';

const STATE = { format: 'qemu', bytes: Buffer.from('device state') };
const FIRST = { isFirstOrder: true };
const LATER = { isFirstOrder: false };
const LOCKED = 'Failed to get "write" lock';

/** An operator's QEMU that waits for a migration. */
async function setUp(
  t: Teardown,
  times?: QmpTimes,
): Promise<{ qemu: FakeQemu; guest: IncomingQemuGuest; orders: () => string[] }> {
  const folder = socketFolder(t);
  const ram = join(folder, 'ram');
  writeFileSync(ram, '');
  const qemu = await FakeQemu.listen(t, join(folder, 'qmp'), times);
  qemu.status = 'inmigrate';
  qemu.giveMemory({ 'pc.ram': { type: 'memory-backend-file', share: true, size: 4096, 'mem-path': ram } });
  const guest = new IncomingQemuGuest({ qmp: qemu.qmp, command: null, directory: folder }, qemu.context);
  t.teardown(() => guest.close());
  const orders = (): string[] =>
    qemu.monitor.log.filter((command) => !/^query-|^qom-|^human|^qmp_/.test(command));
  return { qemu, guest, orders };
}

/** Its guest is loaded and stands; known by its identity, as to a restarted daemon. */
async function setUpPrepared(t: Teardown, isOurs = true): ReturnType<typeof setUpAs> {
  return setUpAs(t, isOurs, 'paused');
}

async function setUpAs(
  t: Teardown,
  isOurs: boolean,
  status: string,
  times?: QmpTimes,
): Promise<{ qemu: FakeQemu; guest: PreparedQemu; orders: () => string[] }> {
  const { qemu, orders } = await setUp(t, times);
  qemu.status = status;
  return { qemu, guest: new PreparedQemu({ ...qemu.identity, isOurs }, qemu.context), orders };
}

void t.test('opens, loads, runs', async (t) => {
  t.plan(11);
  const { qemu, guest, orders } = await setUp(t);
  t.strictSame(await guest.preflight(), []);
  const identity = { ...qemu.identity, isOurs: false };
  t.strictSame(await guest.open(), identity);
  t.match(await guest.blocks(), [{ id: 'pc.ram', sizeBytes: 4096 }]);
  await t.rejects(guest.resume(FIRST), { name: 'GuestError', fault: { code: 'not-prepared' } });
  t.strictSame(await guest.prepare(STATE), identity);
  t.strictSame(qemu.loaded, STATE.bytes);
  t.strictSame(
    [qemu.capabilities.get('x-ignore-shared'), qemu.capabilities.get('late-block-activate')],
    [true, true],
  );
  t.strictSame(await guest.resume(FIRST), { outcome: 'running', note: null });
  t.strictSame(orders(), [
    'migrate-set-capabilities',
    'stop',
    'migrate-incoming',
    'cont',
    'announce-self',
    'migrate-set-capabilities',
  ]);
  t.equal(qemu.capabilities.get('x-ignore-shared'), false, 'its next migration may be its own');
  await t.rejects(
    guest.prepare(STATE),
    { name: 'GuestError', fault: { code: 'prepare-failed' } },
    'once in its life',
  );
});

void t.test('what is against it', async (t) => {
  const table: readonly (readonly [string, (qemu: FakeQemu) => void, RegExp])[] = [
    ['runs', (qemu) => (qemu.status = 'running'), /is running: start it with -incoming defer/],
    ['is loaded', (qemu) => (qemu.status = 'paused'), /is paused/],
    // QEMU 7.2 with -incoming tcp:…: no status, but an address.
    [
      'listens',
      (qemu) => (qemu.migration = { 'socket-address': [{}] }),
      /waits for another migration already/,
    ],
    [
      'takes one in',
      (qemu) => (qemu.migration = { status: 'active' }),
      /waits for another migration already/,
    ],
    ['old', ({ monitor }) => (monitor.version = { major: 2, minor: 8, micro: 0 }), /QEMU 2\.8\.0/],
  ];
  t.plan(table.length * 2);
  for (const [name, change, reason] of table) {
    const { qemu, guest } = await setUp(t);
    change(qemu);
    t.match(await guest.preflight(), [reason], name);
    await t.rejects(guest.open(), { name: 'GuestError', fault: { code: 'blocked', reasons: [reason] } });
  }
});

void t.test('a QEMU that cannot load says so, stays or ends', async (t) => {
  t.plan(7);
  const stays = await setUp(t);
  stays.qemu.monitor.version = { major: 9, minor: 1, micro: 0 };
  let asked: unknown = null;
  const listen = stays.qemu.monitor.answers.get('migrate-incoming');
  stays.qemu.monitor.answers.set('migrate-incoming', async (given) => {
    asked = given['exit-on-error'];
    await listen?.(given);
    stays.qemu.migration = { status: 'failed', 'error-desc': 'Unknown savevm section' };
    return {};
  });
  await t.rejects(stays.guest.prepare(STATE), {
    name: 'GuestError',
    message: 'the guest could not be prepared: Unknown savevm section',
    fault: { code: 'prepare-failed' },
  });
  t.equal(asked, false, 'since 9.1 it is asked to stay');
  await stays.guest.destroy();
  t.ok(stays.orders().includes('quit'));

  const ends = await setUp(t);
  ends.qemu.monitor.answers.set('migrate-incoming', () => {
    ends.qemu.end();
    return HANG_UP;
  });
  await t.rejects(ends.guest.prepare(STATE), { name: 'GuestError', message: /process 7, has ended/ });

  const refuses = await setUp(t);
  refuses.qemu.monitor.answers.set('migrate-incoming', () => new Refusal('already been started'));
  await t.rejects(refuses.guest.prepare(STATE), { name: 'GuestError', message: /already been started/ });

  const runs = await setUp(t);
  const take = runs.qemu.monitor.answers.get('query-migrate');
  runs.qemu.monitor.answers.set('query-migrate', (given) => {
    if (runs.qemu.loaded !== null) runs.qemu.status = 'running';
    return take?.(given);
  });
  await t.rejects(runs.guest.prepare(STATE), {
    name: 'GuestError',
    message: /its run state is running, not paused/,
  });

  const hangs = await setUp(t, HASTY);
  hangs.qemu.monitor.answers.set('migrate-incoming', () => SILENCE);
  await t.rejects(hangs.guest.prepare(STATE), {
    name: 'GuestError',
    message: /did not answer migrate-incoming/,
  });
});

void t.test('a state that is not QEMU’s is refused before anything is told', async (t) => {
  t.plan(3);
  const { guest, qemu } = await setUp(t);
  await t.rejects(guest.prepare(null), { name: 'GuestError', message: /no device state/ });
  await t.rejects(guest.prepare({ ...STATE, format: 'crosvm' }), {
    name: 'GuestError',
    message: /of crosvm/,
  });
  t.strictSame(qemu.monitor.log, []);
});

void t.test('the operator’s own is left alone until it was given a state', async (t) => {
  t.plan(3);
  const { guest, orders } = await setUp(t);
  await guest.open();
  await guest.close();
  await guest.destroy();
  t.strictSame(orders(), []);
  await guest.prepare(STATE);
  await guest.close();
  t.notOk(orders().includes('quit'), 'letting go of a loaded guest does not end it');
  await guest.destroy();
  t.ok(orders().includes('quit'));
});

void t.test('running is seen, not concluded', async (t) => {
  t.plan(4);
  const { qemu, guest, orders } = await setUpPrepared(t);
  t.strictSame(await guest.resume(FIRST), { outcome: 'running', note: null });
  t.strictSame(await guest.resume(LATER), { outcome: 'running', note: null });
  t.strictSame(orders(), ['cont', 'announce-self', 'announce-self'], 'cont is said once');
  qemu.status = 'guest-panicked';
  t.strictSame(await guest.resume(LATER), { outcome: 'running', note: 'its run state is guest-panicked' });
});

void t.test('a guest that never ran is refused', async (t) => {
  t.plan(6);
  const locked = await setUpPrepared(t);
  locked.qemu.monitor.answers.set('cont', () => new Refusal(LOCKED));
  const reason = `cont failed (GenericError): ${LOCKED}`;
  t.strictSame(await locked.guest.resume(FIRST), { outcome: 'refused', reason });
  t.strictSame(await locked.guest.resume(LATER), { outcome: 'refused', reason });
  locked.qemu.end();
  t.match(await locked.guest.resume(FIRST), {
    outcome: 'refused',
    reason: /ended before it was told to run/,
  });
  const empty = await setUpAs(t, true, 'inmigrate');
  t.match(await empty.guest.resume(FIRST), { outcome: 'refused', reason: /never loaded/ });
  t.strictSame(empty.orders(), [], 'cont would let it run as soon as something is loaded');
  const gone = new PreparedQemu({ ...locked.qemu.identity, startTime: 1, isOurs: true }, locked.qemu.context);
  t.match(await gone.resume(FIRST), { outcome: 'refused' });
});

void t.test('what ended after an order counts as run', async (t) => {
  t.plan(4);
  const during = await setUpPrepared(t);
  during.qemu.monitor.answers.set('cont', () => {
    during.qemu.end();
    return HANG_UP;
  });
  const crashed = { outcome: 'running', note: /told to run, and its QEMU has ended/ };
  t.match(await during.guest.resume(FIRST), crashed);
  t.match(await during.guest.resume(LATER), crashed);
  const { qemu, guest } = await setUpPrepared(t);
  qemu.monitor.answers.set('cont', () => {
    qemu.status = 'shutdown';
    return new Refusal('Resetting the Virtual Machine is required');
  });
  t.match(await guest.resume(FIRST), { outcome: 'running', note: /Resetting .*; its run state is shutdown/ });
  qemu.end();
  t.match(await guest.resume(LATER), crashed);
});

void t.test('a connection that breaks at the order is made anew, and QEMU looked at', async (t) => {
  t.plan(5);
  const carriedOut = await setUpPrepared(t);
  carriedOut.qemu.monitor.answers.set('cont', () => {
    carriedOut.qemu.status = 'running';
    return HANG_UP;
  });
  t.strictSame(await carriedOut.guest.resume(FIRST), { outcome: 'running', note: null });
  t.strictSame(carriedOut.orders(), ['cont', 'announce-self']);

  const notCarriedOut = await setUpPrepared(t);
  const cont = notCarriedOut.qemu.monitor.answers.get('cont');
  notCarriedOut.qemu.monitor.answers.set('cont', () => {
    if (cont !== undefined) notCarriedOut.qemu.monitor.answers.set('cont', cont);
    return HANG_UP;
  });
  t.strictSame(await notCarriedOut.guest.resume(FIRST), { outcome: 'running', note: null });
  t.strictSame(notCarriedOut.orders(), ['cont', 'cont', 'announce-self']);

  const silent = await setUpAs(t, true, 'paused', HASTY);
  silent.qemu.monitor.answers.set('cont', () => SILENCE);
  await t.rejects(silent.guest.resume(FIRST), {
    name: 'GuestError',
    fault: { code: 'monitor-timeout', command: 'cont' },
  });
});

void t.test('a guest that runs and was not announced runs', async (t) => {
  t.plan(1);
  const { qemu, guest } = await setUpPrepared(t);
  qemu.monitor.answers.set('announce-self', () => new Refusal('no network'));
  t.match(await guest.resume(FIRST), { outcome: 'running', note: /not announced: .*no network/ });
});

void t.test('what a dead daemon had opened is ended only if it was ours, and is empty', async (t) => {
  t.plan(4);
  const ours = await setUpAs(t, true, 'inmigrate');
  await ours.guest.close();
  t.strictSame(ours.orders(), ['quit']);
  await ours.guest.close();
  const theirs = await setUpAs(t, false, 'inmigrate');
  await theirs.guest.close();
  t.strictSame(theirs.orders(), []);
  const loaded = await setUpPrepared(t);
  await loaded.guest.close();
  t.strictSame(loaded.orders(), []);
  await loaded.guest.destroy();
  t.strictSame(loaded.orders(), ['quit']);
});
