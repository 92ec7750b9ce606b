import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameFile } from '../src/file-identity.ts';
import { checkPlace, openImage, type OpenImageOptions } from '../src/image-file.ts';
import type { MemoryFault } from '../src/errors.ts';
import { makeFolder } from './image-folder.ts';

function makeFile(path: string, sizeBytes: number): string {
  writeFileSync(path, '');
  truncateSync(path, sizeBytes);
  return path;
}

void t.test('an existing image is opened as it is', (t) => {
  t.plan(6);
  const folder = makeFolder(t);
  const path = makeFile(join(folder, 'guest.ram'), 8192);
  const link = join(folder, 'link.ram');
  symlinkSync(path, link);
  const image = openImage({ path, writable: false });
  const again = openImage({
    path: link,
    imageRoot: folder,
    writable: true,
    expectedSizeBytes: 8192,
    create: true,
  });
  t.equal(image.path, path);
  t.equal(again.path, path, 'links are resolved');
  t.equal(again.sizeBytes, 8192);
  t.match(image.device, /^[0-9a-f]{2,}:[0-9a-f]{2,}$/);
  t.equal(image.inode, String(statSync(path).ino));
  t.ok(isSameFile(image, again));
  image.close();
  again.close();
});

void t.test('a missing image is made when asked: holes, private, of the expected size', (t) => {
  t.plan(5);
  const path = join(makeFolder(t), 'guest.ram');
  const image = openImage({ path, writable: true, expectedSizeBytes: 2 ** 30, create: true });
  const stat = statSync(path);
  t.equal(image.sizeBytes, 2 ** 30);
  t.equal(stat.size, 2 ** 30);
  t.equal(stat.blocks, 0);
  t.equal(stat.mode & 0o777, 0o600);
  const other = openImage({ path: makeFile(`${path}.2`, 4096), writable: false });
  t.notOk(isSameFile(image, other));
  image.close();
  other.close();
});

void t.test('images that are refused, with the reason', (t) => {
  const folder = makeFolder(t);
  const root = join(folder, 'root');
  const file = join(root, 'guest.ram');
  const outside = join(folder, 'root-not', 'guest.ram');
  mkdirSync(root);
  mkdirSync(join(folder, 'root-not'));
  makeFile(file, 8192);
  makeFile(outside, 8192);
  makeFile(join(root, 'odd.ram'), 8193);
  makeFile(join(root, 'empty.ram'), 0);
  symlinkSync(outside, join(root, 'out.ram'));
  symlinkSync(join(folder, 'nothing'), join(root, 'dangling.ram'));
  symlinkSync(join(folder, 'root-not'), join(root, 'sub'));
  execFileSync('mkfifo', [join(root, 'fifo')]);

  const rows: readonly (readonly [
    code: MemoryFault['code'],
    name: string,
    options?: Partial<OpenImageOptions>,
  ])[] = [
    ['missing', 'none.ram'],
    ['missing', 'none.ram', { create: true }],
    ['no-directory', 'none/none.ram', { create: true, expectedSizeBytes: 4096 }],
    ['missing', 'dangling.ram'],
    ['io', 'dangling.ram', { create: true, expectedSizeBytes: 4096 }],
    ['missing', 'guest.ram/below'],
    ['no-directory', 'guest.ram/below', { create: true, expectedSizeBytes: 4096 }],
    ['not-a-file', '.', { imageRoot: folder }],
    ['not-a-file', '.', { imageRoot: folder, writable: true }],
    ['not-a-file', 'fifo'],
    ['not-a-file', 'fifo', { writable: true }],
    ['outside-root', '.'],
    ['outside-root', 'out.ram'],
    ['outside-root', '../root-not/guest.ram'],
    ['outside-root', 'sub/new.ram', { create: true, expectedSizeBytes: 4096 }],
    ['outside-root', '../new.ram', { create: true, expectedSizeBytes: 4096 }],
    ['outside-root', 'guest.ram', { imageRoot: join(folder, 'no-such-root') }],
    ['invalid-size', 'odd.ram'],
    ['invalid-size', 'empty.ram'],
    ['invalid-size', 'new.ram', { create: true, expectedSizeBytes: 4097 }],
    ['wrong-size', 'guest.ram', { expectedSizeBytes: 4096 }],
    ['wrong-size', 'guest.ram', { expectedSizeBytes: 12_288, create: true, writable: true }],
  ];
  t.plan(rows.length + 3);
  for (const [code, name, options] of rows) {
    const path = join(root, name);
    const label = `${code} ${name} ${JSON.stringify(options ?? {})}`;
    t.throws(
      () => openImage({ path, imageRoot: root, writable: false, ...options }),
      { name: 'MemoryError', fault: { code } },
      label,
    );
  }
  t.equal(statSync(file).size, 8192, 'a refused image is not resized');
  t.notOk(existsSync(join(folder, 'root-not', 'new.ram')) || existsSync(join(folder, 'new.ram')));
  t.notOk(existsSync(join(folder, 'nothing')) || existsSync(join(root, 'new.ram')));
});

void t.test('the root / holds everything', (t) => {
  t.plan(1);
  const image = openImage({
    path: makeFile(join(makeFolder(t), 'a'), 4096),
    imageRoot: '/',
    writable: false,
  });
  t.equal(image.sizeBytes, 4096);
  image.close();
});

void t.test('the place of an image to be made is checked without making it', (t) => {
  t.plan(5);
  const imageRoot = makeFolder(t);
  const outside = makeFolder(t);
  symlinkSync(outside, join(imageRoot, 'linked'));
  const check = (name: string) => (): void => checkPlace({ path: join(imageRoot, name), imageRoot });
  t.doesNotThrow(check('new.ram'));
  t.notOk(existsSync(join(imageRoot, 'new.ram')));
  t.throws(check('linked/new.ram'), { name: 'MemoryError', fault: { code: 'outside-root' } });
  t.throws(check('../new.ram'), { name: 'MemoryError', fault: { code: 'outside-root' } });
  const directory = join(imageRoot, 'none');
  t.throws(check('none/new.ram'), {
    message: `the directory ${directory} of image ${directory}/new.ram does not exist`,
    fault: { code: 'no-directory', directory },
  });
});
