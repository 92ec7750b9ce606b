import { closeSync, linkSync, mkdirSync, openSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { identityOf } from '../src/file-identity.ts';
import { usesFile } from '../src/open-files.ts';
import { mapFirstPage } from './file-calls.ts';
import { makeFolder, makeImage } from './image-folder.ts';

void t.test('this process, which opens and maps', async (t) => {
  t.plan(4);
  const path = join(makeFolder(t), 'guest.ram');
  writeFileSync(path, new Uint8Array(4096));
  const image = { path, ...identityOf(statSync(path, { bigint: true })) };
  const fd = openSync(path, 'r+');
  t.equal(await usesFile(process.pid, image), true, 'open');
  const unmap = mapFirstPage(fd, { isShared: true });
  closeSync(fd);
  t.equal(await usesFile(process.pid, image), true, 'mapped only');
  unmap();
  t.equal(await usesFile(process.pid, image), false, 'neither');
  const other = `${path}.link`;
  linkSync(path, other);
  const opened = openSync(other, 'r');
  t.equal(await usesFile(process.pid, image), true, 'open by another name');
  closeSync(opened);
});

void t.test('what /proc shows of another process', async (t) => {
  const image = makeImage(t, { pageCount: 1, dataPages: [] });
  const line = `7f00-8f00 rw-s 00000000 ${image.device} ${image.inode} ${image.path}\n`;
  const rows: readonly (readonly [
    label: string,
    maps: string | undefined,
    links: readonly string[] | undefined,
    uses: boolean | undefined,
  ])[] = [
    ['mapped', line, [], true],
    ['mapped, and its descriptors cannot be read', line, undefined, true],
    ['open', '', ['socket:[4711]', image.path], true],
    ['open, and its mappings cannot be read', undefined, [image.path], true],
    ['neither', '', ['socket:[4711]', '/dev/null', '/nothing/there'], false],
    ['not mapped, and its descriptors cannot be read', '', undefined, undefined],
    ['not open, and its mappings cannot be read', undefined, ['/dev/null'], undefined],
  ];
  t.plan(rows.length + 1);
  for (const [label, maps, links, uses] of rows) {
    const proc = makeFolder(t);
    const folder = join(proc, '12');
    mkdirSync(folder);
    // A folder in the place of a file is as little readable as a file without permission, also for root.
    if (maps === undefined) mkdirSync(join(folder, 'maps'));
    else writeFileSync(join(folder, 'maps'), maps);
    if (links === undefined) writeFileSync(join(folder, 'fd'), '');
    else {
      mkdirSync(join(folder, 'fd'));
      for (const [fd, target] of links.entries()) symlinkSync(target, join(folder, 'fd', String(fd)));
    }
    t.equal(await usesFile(12, image, { proc }), uses, label);
  }
  t.equal(await usesFile(12, image, { proc: makeFolder(t) }), undefined, 'no such process');
});
