import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import t from 'tap';
import { lockImage } from '../src/image-lock.ts';
import { fileCalls } from './file-calls.ts';
import { makeImage } from './image-folder.ts';

void t.test('a second lock is refused by the name of the image, until the first is released', (t) => {
  t.plan(3);
  const image = makeImage(t, { pageCount: 1, dataPages: [] });
  const lock = lockImage({ image, calls: fileCalls });
  const error = {
    name: 'MemoryError',
    fault: { code: 'locked', path: image.path },
    message: new RegExp(image.path),
  };
  t.throws(() => lockImage({ image, calls: fileCalls }), error);
  renameSync(image.path, `${image.path}.old`);
  t.throws(() => lockImage({ image, calls: fileCalls }), error, 'the lock is on the file, not on its name');
  lock.release();
  const second = lockImage({ image, calls: fileCalls });
  t.not(second.fd, image.fd);
  second.release();
});

void t.test('a child that inherited the lock still holds it', async (t) => {
  t.plan(2);
  const image = makeImage(t, { pageCount: 1, dataPages: [] });
  const lock = lockImage({ image, calls: fileCalls });
  const child = spawn('cat', [], { stdio: ['pipe', 'ignore', 'inherit', lock.fd] });
  await once(child, 'spawn');
  lock.release();
  t.throws(() => lockImage({ image, calls: fileCalls }), { name: 'MemoryError', fault: { code: 'locked' } });
  child.stdin?.end();
  await once(child, 'close');
  const next = lockImage({ image, calls: fileCalls });
  t.ok(next.fd >= 0);
  next.release();
});

void t.test('other failures are not taken for a lock', (t) => {
  t.plan(2);
  const image = makeImage(t, { pageCount: 1, dataPages: [] });
  const enolck = Object.assign(new Error('ENOLCK'), { code: 'ENOLCK' });
  const calls = {
    ...fileCalls,
    tryLockExclusive: (): boolean => {
      throw enolck;
    },
  };
  t.throws(() => lockImage({ image, calls }), {
    name: 'MemoryError',
    fault: { code: 'io', operation: 'lock', errno: 'ENOLCK' },
  });
  const nowhere = { ...image, fd: 1_000_000 };
  t.throws(() => lockImage({ image: nowhere, calls: fileCalls }), {
    name: 'MemoryError',
    fault: { code: 'io', errno: 'ENOENT' },
  });
});
