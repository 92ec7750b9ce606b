// No guest: both sides answer at once, and device state for a guest that is not there is refused.
import t from 'tap';
import { guestFromSpec, incomingGuest } from '../src/create.ts';
import { noHost } from './fake-processes.ts';

void t.test('the source’s side', async (t) => {
  t.plan(5);
  const guest = await guestFromSpec({ type: 'none' }, noHost);
  t.strictSame(guest.identity(), { type: 'none' });
  t.strictSame(await guest.preflight(null), []);
  await guest.pause();
  t.equal(await guest.runState(), 'running');
  t.equal(await guest.saveDeviceState(1), null);
  await guest.resume();
  t.equal(guest.type, 'none');
});

void t.test('the destination’s side', async (t) => {
  t.plan(4);
  const guest = incomingGuest({ type: 'none' }, {}, '/nonexistent', noHost);
  t.strictSame(await guest.preflight(), []);
  t.strictSame(await guest.prepare(null), { type: 'none' });
  t.strictSame(await guest.resume({ isFirstOrder: true }), { outcome: 'running', note: null });
  await guest.destroy();
  await t.rejects(guest.prepare({ format: 'qemu', bytes: new Uint8Array(1) }), {
    name: 'GuestError',
    fault: { code: 'device-state-refused' },
  });
});
