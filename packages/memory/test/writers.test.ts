import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findWriters } from '../src/writers.ts';
import { mapFirstPage } from './file-calls.ts';
import { makeFolder, makeImage } from './image-folder.ts';
import { writeProcess } from './proc-folder.ts';

void t.test('who maps shared and writable, and where', async (t) => {
  t.plan(3);
  const proc = makeFolder(t);
  const images = [
    makeImage(t, { pageCount: 8, dataPages: [] }),
    makeImage(t, { pageCount: 4, dataPages: [] }),
  ];
  const [first, second] = images;
  if (first === undefined || second === undefined) return;
  const low = { address: 0x10000, firstPage: 5, pageCount: 3 };
  const high = { address: 0x7ffff7a00000, firstPage: 0, pageCount: 8 };
  writeProcess(proc, 30, first, { ranges: [low, high] });
  writeProcess(proc, 4, first, { ranges: [high] });
  writeProcess(proc, 5, second, { ranges: [{ ...low, firstPage: 1 }] });
  writeProcess(proc, 6, first, { ranges: [{ ...high, permissions: 'r--s' }] });
  writeProcess(proc, 7, first, { ranges: [{ ...high, permissions: 'rw-p' }] });
  const found = {
    images: [
      [
        { pid: 4, startTime: 1004, ranges: [high] },
        { pid: 30, startTime: 1030, ranges: [low, high] },
      ],
      [{ pid: 5, startTime: 1005, ranges: [{ ...low, firstPage: 1 }] }],
    ],
    unreadableCount: 0,
  };
  t.same(await findWriters(images, { proc }), found);
  rmSync(join(proc, '7', 'maps'));
  mkdirSync(join(proc, '7', 'maps'));
  rmSync(join(proc, '6'), { recursive: true });
  t.same(await findWriters(images, { proc }), { ...found, unreadableCount: 1 });
  await t.rejects(findWriters(images, { proc: join(proc, 'none') }), { name: 'MemoryError' });
});

void t.test('our own mapping of a real file', async (t) => {
  t.plan(2);
  const image = makeImage(t, { pageCount: 4, dataPages: [1] });
  const unmap = mapFirstPage(image.fd, { isShared: true });
  const ours = async (): Promise<unknown> => {
    const { images } = await findWriters([image]);
    return images[0]
      ?.find(({ pid }) => pid === process.pid)
      ?.ranges.map(({ firstPage, pageCount }) => [firstPage, pageCount]);
  };
  t.same(await ours(), [[0, 1]]);
  unmap();
  t.equal(await ours(), undefined);
});
