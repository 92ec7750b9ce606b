// Identities come back from a file: what is not one is refused before any process is signalled.
import t from 'tap';
import { guestFromIdentity, incomingGuestFromIdentity } from '../src/create.ts';
import { noHost } from './fake-processes.ts';

const process = { type: 'process', pid: 7, startTime: 4242, bootId: 'boot' };
const qemu = { ...process, type: 'qemu', qmp: '/run/guest.qmp' };
const incomingQemu = { ...qemu, isOurs: true };
const incoming = { ...process, recordPath: '/r', logPath: '/l' };

void t.test('accepts identities, also a destination’s where a source’s is expected', (t) => {
  t.plan(8);
  t.equal(guestFromIdentity({ type: 'none' }, noHost).type, 'none');
  t.equal(incomingGuestFromIdentity({ type: 'none' }, noHost).type, 'none');
  t.strictSame(guestFromIdentity(process, noHost).identity(), process);
  t.strictSame(guestFromIdentity(incoming, noHost).identity(), process);
  t.equal(incomingGuestFromIdentity(incoming, noHost).type, 'process');
  t.strictSame(guestFromIdentity(qemu, noHost).identity(), qemu);
  t.strictSame(guestFromIdentity(incomingQemu, noHost).identity(), qemu);
  t.equal(incomingGuestFromIdentity(incomingQemu, noHost).type, 'qemu');
});

void t.test('refuses anything else', (t) => {
  const table: readonly unknown[] = [
    undefined,
    null,
    'process',
    [],
    {},
    { type: 'crosvm' },
    { type: 'qemu' },
    { ...incomingQemu, qmp: '' },
    { ...incomingQemu, pid: 0 },
    { ...incoming, pid: 0 },
    { ...incoming, pid: -1 },
    { ...incoming, pid: 1.5 },
    { ...incoming, pid: '7' },
    { ...incoming, startTime: null },
    { ...incoming, bootId: '' },
  ];
  t.plan(table.length * 2 + 2);
  for (const value of table) {
    t.throws(() => guestFromIdentity(value, noHost), {
      name: 'GuestError',
      fault: { code: 'identity-invalid' },
    });
    t.throws(() => incomingGuestFromIdentity(value, noHost), {
      name: 'GuestError',
      fault: { code: 'identity-invalid' },
    });
  }
  t.throws(() => incomingGuestFromIdentity({ ...incomingQemu, isOurs: 1 }, noHost), {
    name: 'GuestError',
    fault: { code: 'identity-invalid' },
  });
  t.throws(() => incomingGuestFromIdentity(process, noHost), {
    name: 'GuestError',
    fault: { code: 'identity-invalid' },
  });
});
