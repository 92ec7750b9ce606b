import { closeSync, openSync, readSync, renameSync, truncateSync, writeSync } from 'node:fs';
import t from 'tap';
import { ImageWatch } from '../src/image-watch.ts';
import { fileCalls, watchCalls, writeMapped } from './file-calls.ts';
import { makeImage } from './image-folder.ts';

const PAGES = 8;

void t.test('what no bit tells is seen, and nothing else', (t) => {
  const rows: readonly (readonly [
    what: string,
    isSeen: boolean,
    deed: (fd: number, path: string) => unknown,
  ])[] = [
    ['reading', false, (fd) => readSync(fd, new Uint8Array(10), 0, 10, 0)],
    ['another name', false, (_, path) => renameSync(path, `${path}.new`)],
    ['writing to a mapping', false, (fd) => writeMapped(fd, { isRemoved: false })],
    ['writing by a call', true, (fd) => writeSync(fd, 'a', 0)],
    ['making a hole by a call', true, (fd) => fileCalls.punchHole(fd, 0, 4096)],
    ['making a hole through a mapping', true, (fd) => writeMapped(fd, { isRemoved: true })],
    ['cutting', true, (_, path) => truncateSync(path, 4096)],
    ['opening', true, (_, path) => closeSync(openSync(path, 'r'))],
  ];
  t.plan(rows.length * 2);
  for (const [what, isSeen, deed] of rows) {
    const image = makeImage(t, { pageCount: PAGES, dataPages: [0, 1] });
    const watch = new ImageWatch({ image, calls: watchCalls });
    deed(image.fd, image.path);
    t.equal(watch.isTouched, isSeen, what);
    t.equal(watch.isTouched, isSeen, `${what}, asked again`);
    watch.close();
  }
});

void t.test('one that is closed knows nothing, and reads no descriptor that has its number now', (t) => {
  t.plan(2);
  const image = makeImage(t, { pageCount: 1, dataPages: [] });
  let watched = -1;
  const calls = { watchFile: (path: string) => (watched = watchCalls.watchFile(path)) };
  const watch = new ImageWatch({ image, calls });
  watch.close();
  const other = openSync(image.path, 'r');
  t.equal(other, watched);
  t.equal(watch.isTouched, undefined);
  watch.close();
  closeSync(other);
});

void t.test('a system that cannot watch', (t) => {
  t.plan(2);
  const image = makeImage(t, { pageCount: 1, dataPages: [] });
  const refusing = {
    watchFile(): number {
      throw Object.assign(new Error('too many'), { code: 'EMFILE' });
    },
  };
  const watch = new ImageWatch({ image, calls: refusing });
  t.equal(watch.isTouched, undefined);
  watch.close();
  const broken = {
    watchFile(): number {
      throw new TypeError('no such function');
    },
  };
  t.throws(() => new ImageWatch({ image, calls: broken }), TypeError);
});
