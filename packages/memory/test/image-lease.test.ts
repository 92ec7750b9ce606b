import { closeSync, constants, openSync, renameSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PAGE_SIZE } from '@pageferry/xbzrle';
import t, { type Test } from 'tap';
import type { LeaseCalls } from '../src/file-calls.ts';
import { openImage, type Image } from '../src/image-file.ts';
import { ImageLease } from '../src/image-lease.ts';
import { leaseCalls, mapFirstPage } from './file-calls.ts';
import { makeFolder } from './image-folder.ts';

/** An image that nobody has open for writing. */
function makeResting(t: Test): Image {
  const path = join(makeFolder(t), 'guest.ram');
  writeFileSync(path, new Uint8Array(2 * PAGE_SIZE).fill(1));
  const image = openImage({ path, writable: false });
  t.teardown(() => image.close());
  return image;
}

function take(t: Test, image: Image): ImageLease {
  const lease = ImageLease.take({ image, calls: leaseCalls });
  if (typeof lease === 'string') throw new Error(lease);
  t.teardown(() => lease.release());
  return lease;
}

/** Does not wait for a lease to end; that somebody asked breaks it all the same. */
function openForWriting(path: string): number {
  return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
}

void t.test('a lease is held until somebody opens the image for writing', (t) => {
  const image = makeResting(t);
  const lease = take(t, image);
  t.equal(lease.path, image.path);
  t.ok(lease.isHeld);
  closeSync(openSync(image.path, 'r'));
  t.ok(lease.isHeld, 'reading is no matter');
  renameSync(image.path, `${image.path}.old`);
  t.throws(() => openForWriting(`${image.path}.old`), { code: 'EAGAIN' }, 'whatever its name');
  t.notOk(lease.isHeld);
  lease.release();
  closeSync(openForWriting(`${image.path}.old`));
  t.notOk(lease.isHeld, 'never again');
  t.end();
});

void t.test('who truncates the image by its name waits for the lease, which is broken', async (t) => {
  const image = makeResting(t);
  const lease = take(t, image);
  const truncating = spawn(process.execPath, ['-e', `fs.truncateSync(${JSON.stringify(image.path)}, 4096)`]);
  while (lease.isHeld) await new Promise((resolve) => setTimeout(resolve, 5));
  t.equal(truncating.exitCode, null, 'it waits');
  lease.release();
  t.same(await once(truncating, 'close'), [0, null]);
});

void t.test('there is no lease on an image that somebody may write to', (t) => {
  const path = makeResting(t).path;
  const image = openImage({ path, writable: false });
  t.teardown(() => image.close());
  const refused = (): unknown => ImageLease.take({ image, calls: leaseCalls });
  const fd = openForWriting(path);
  t.match(refused(), /guest\.ram: a process has it open for writing/);
  closeSync(fd);
  const mapped = openSync(path, 'r+');
  const unmap = mapFirstPage(mapped, { isShared: true });
  closeSync(mapped);
  t.match(refused(), /open for writing/, 'a mapping keeps the file open that it was made of');
  unmap();
  const lease = take(t, image);
  t.ok(lease.isHeld, 'nobody any more');
  t.end();
});

function refusing(code: string): LeaseCalls {
  return {
    ...leaseCalls,
    takeReadLease: () => {
      throw Object.assign(new Error(code), { code });
    },
  };
}

void t.test('an image under a lease is not opened for writing: it is in use', (t) => {
  const image = makeResting(t);
  const lease = take(t, image);
  const open = (): Image => openImage({ path: image.path, writable: true });
  t.throws(open, { name: 'MemoryError', fault: { code: 'locked', path: image.path } });
  lease.release();
  open().close();
  t.end();
});

void t.test('why there is none is said in words', (t) => {
  const image = makeResting(t);
  const reason = (code: string): unknown => ImageLease.take({ image, calls: refusing(code) });
  t.match(reason('EACCES'), /belongs to another user/);
  t.match(reason('EINVAL'), /gives no leases/);
  t.match(reason('ENOLCK'), /no lease on it: ENOLCK/);
  const calls = {
    ...leaseCalls,
    takeReadLease: () => {
      throw new RangeError('a fault of the program');
    },
  };
  t.throws(() => ImageLease.take({ image, calls }), RangeError);
  const onProc = { ...image, fd: openSync('/proc/self/status', 'r') };
  t.teardown(() => closeSync(onProc.fd));
  t.match(ImageLease.take({ image: onProc, calls: leaseCalls }), /on its file system/);
  t.end();
});
