// What is said of who uses the source's images: a made-up /proc beside a real image.
import type { Warning } from '@pageferry/protocol';
import t from 'tap';
import { openSourceImages, type ImageGuest } from '../src/images.ts';
import { GUEST_PID, makeProc, type FakeProc } from './fake-proc.ts';

const NOBODY: ImageGuest = { type: 'none', isOperators: false };
const GUEST: ImageGuest = { type: 'process', pid: GUEST_PID, isOperators: false };
const QEMU: ImageGuest = { ...GUEST, type: 'qemu' };

async function warningsOf(
  { proc, image: { path } }: FakeProc,
  guest: ImageGuest,
): Promise<readonly Warning[]> {
  const policy = { imageRoot: '/dev/shm', isStrict: false };
  const { images, warnings } = await openSourceImages([{ id: 'pc.ram', path }], guest, policy, { proc });
  images.close();
  return warnings;
}

void t.test('who else maps the image writable', async (t) => {
  const rows: readonly (readonly [label: string, guest: ImageGuest, detail: RegExp | undefined])[] = [
    [
      'without a guest',
      NOBODY,
      new RegExp(`guest\\.ram is mapped writable by ${GUEST_PID}, .*nobody pauses them`),
    ],
    ['without a guest, in pre-switchover the operator pauses', { ...NOBODY, isOperators: true }, undefined],
    ['the guest itself', GUEST, undefined],
    [
      'besides a QEMU',
      { ...QEMU, pid: 1 },
      new RegExp(`also mapped writable by ${GUEST_PID}: pausing the guest`),
    ],
  ];
  t.plan(rows.length);
  for (const [label, guest, detail] of rows) {
    const warnings = await warningsOf(makeProc(t), guest);
    const expected = detail === undefined ? [] : [{ name: 'other-writers', detail }];
    if (detail === undefined) t.same(warnings, expected, label);
    else t.match(warnings, expected, label);
  }
});
