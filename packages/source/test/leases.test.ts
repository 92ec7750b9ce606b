import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openImage, type Image } from '@pageferry/memory';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { Leases } from '../src/leases.ts';

function makeLeases(t: Test): { readonly leases: Leases; readonly images: readonly Image[] } {
  const folder = mkdtempSync('/dev/shm/pageferry-source-');
  const images = ['a.ram', 'b.ram'].map((name) => {
    writeFileSync(join(folder, name), new Uint8Array(4096));
    return openImage({ path: join(folder, name), writable: false });
  });
  const leases = new Leases(pino({ level: 'silent' }));
  t.teardown(() => {
    leases.release();
    for (const image of images) image.close();
    rmSync(folder, { recursive: true });
  });
  return { leases, images };
}

function first([image]: readonly Image[]): Image {
  if (image === undefined) throw new Error('no image');
  return image;
}

function openForWriting({ path }: Image): number {
  return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
}

void t.test('nothing is to be found once everything was scanned under leases that are held', (t) => {
  const { leases, images } = makeLeases(t);
  t.match(leases.state.problem, /not taken/);
  leases.scanned();
  t.notOk(leases.areProof, 'a scan before the leases says nothing');
  leases.take(images);
  t.equal(leases.state.problem, undefined);
  t.notOk(leases.areProof, 'nothing was scanned yet');
  leases.scanned();
  t.ok(leases.areProof);
  leases.take(images);
  t.notOk(leases.areProof, 'another attempt scans anew');
  leases.scanned();
  leases.release();
  t.same(leases.state, { problem: undefined, areProof: true }, 'what was known stays to be seen');
  t.notOk(leases.areProof, 'and proves nothing any more');
  closeSync(openForWriting(first(images)));
  leases.take(images);
  t.notOk(leases.areProof, 'but does not hold for the next attempt');
  t.equal(leases.state.problem, undefined, 'which takes them again');
  t.end();
});

void t.test('one image that is written is enough, and the others are let go', (t) => {
  const { leases, images } = makeLeases(t);
  const [a, b] = [first(images), first(images.slice(1))];
  const fd = openForWriting(b);
  leases.take(images);
  leases.scanned();
  t.match(leases.state.problem, /b\.ram: a process has it open for writing/);
  t.notOk(leases.areProof);
  closeSync(openForWriting(a));
  closeSync(fd);
  t.end();
});

void t.test(
  'whoever opens an image for writing is let in, and the leases are worth nothing any more',
  async (t) => {
    const { leases, images } = makeLeases(t);
    leases.take(images);
    leases.scanned();
    t.ok(leases.areProof);
    const image = first(images);
    t.throws(() => openForWriting(image), { code: 'EAGAIN' });
    let fd: number | undefined;
    while (fd === undefined) {
      await sleep(5);
      try {
        fd = openForWriting(image);
      } catch {
        // It is let go by a timer.
      }
    }
    closeSync(fd);
    t.notOk(leases.areProof);
    t.match(leases.state.problem, /a\.ram: a process opened it for writing/);
    leases.scanned();
    t.notOk(leases.areProof, 'for the rest of the attempt');
  },
);
