// What is said of who uses the source's images: a made-up /proc beside a real image.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { problemType, type Warning } from '@pageferry/protocol';
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

void t.test('processes that cannot be seen are named, with the image', async (t) => {
  t.plan(2);
  const { proc, image } = makeProc(t);
  mkdirSync(join(proc, '12', 'maps'), { recursive: true });
  const detail = `the mappings of process 12 cannot be read: it may map ${image.path}`;
  t.same(await warningsOf({ proc, image }, GUEST), [{ name: 'mappings-not-visible', detail }]);
  const policy = { imageRoot: '/dev/shm', isStrict: true };
  const opening = openSourceImages([{ id: 'pc.ram', path: image.path }], GUEST, policy, { proc });
  await t.rejects(opening, {
    name: 'ProblemError',
    problem: { type: problemType('mappings-not-visible'), detail },
  });
});

void t.test('whether the process that is named is the guest', async (t) => {
  t.plan(6);
  const fake = makeProc(t);
  t.same(await warningsOf(fake, GUEST), [], 'it maps the image');
  writeFileSync(join(fake.proc, String(GUEST_PID), 'maps'), '');
  t.same(await warningsOf(fake, GUEST), [], 'what it has open cannot be seen');
  const descriptors = join(fake.proc, String(GUEST_PID), 'fd');
  mkdirSync(descriptors);
  symlinkSync('/dev/null', join(descriptors, '0'));
  const detail = `process ${GUEST_PID} neither maps ${fake.image.path} nor has it open: is it the guest?`;
  t.same(await warningsOf(fake, GUEST), [{ name: 'guest-without-image', detail }]);
  t.same(await warningsOf(fake, QEMU), [], 'a QEMU says itself what it maps');
  t.same(await warningsOf(fake, NOBODY), [], 'nobody is named');
  symlinkSync(fake.image.path, join(descriptors, '1'));
  t.same(await warningsOf(fake, GUEST), [], 'it has it open');
});
