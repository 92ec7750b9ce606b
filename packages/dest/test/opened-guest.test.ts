import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { OpenedGuest } from '../src/opened-guest.ts';

const IDENTITY = {
  type: 'qemu',
  qmp: '/run/b.qmp',
  isOurs: true,
  pid: 42,
  startTime: 7,
  bootId: 'b',
} as const;

void t.test('what was opened is known to the next life, until it is forgotten', (t) => {
  const path = join(t.testdir(), 'opened-guest.json');
  new OpenedGuest(path).keep(IDENTITY);
  const next = new OpenedGuest(path);
  t.same(next.find(), IDENTITY);
  next.forget();
  t.equal(new OpenedGuest(path).find(), undefined);
  next.forget();
  t.end();
});

void t.test('a guest that does not exist yet is nothing to remember', (t) => {
  const path = join(t.testdir(), 'opened-guest.json');
  const opened = new OpenedGuest(path);
  opened.keep(IDENTITY);
  opened.keep(null);
  t.equal(opened.find(), undefined);
  t.end();
});

void t.test('a command is kept until its guest answers', (t) => {
  const { pid, startTime, bootId } = IDENTITY;
  const command = { pid, startTime, bootId };
  const path = join(t.testdir(), 'opened-guest.json');
  const opened = new OpenedGuest(path);
  opened.keepLaunched(command);
  const next = new OpenedGuest(path);
  t.same(next.findLaunched(), command);
  t.equal(next.find(), undefined, 'no guest yet');
  next.keep(IDENTITY);
  t.equal(next.findLaunched(), undefined);
  next.keepLaunched(command);
  next.forget();
  t.equal(next.findLaunched(), undefined);
  t.end();
});

void t.test('a file that is not whole is nobody', (t) => {
  const path = join(t.testdir(), 'opened-guest.json');
  writeFileSync(path, '{"type":"qe');
  t.equal(new OpenedGuest(path).find(), undefined);
  t.end();
});
