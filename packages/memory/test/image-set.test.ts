// An open image stays the same file whatever happens to its name; whether the name still leads to it is asked.
import { chmodSync, copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { ImageSet } from '../src/image-set.ts';
import { fileCalls } from './file-calls.ts';
import { makeImage } from './image-folder.ts';

const spoiled = [
  ['as it was', () => undefined, undefined],
  ['renamed', (path: string) => renameSync(path, `${path}.old`), 'missing'],
  ['replaced by a copy', replaceByCopy, 'replaced'],
  ['moved with its directory', moveDirectory, 'missing'],
  ['written through another name', (path: string) => chmodSync(path, 0o640), undefined],
] as const;

void t.test('whether an image can still be opened by its name', (t) => {
  t.plan(spoiled.length);
  for (const [name, spoil, code] of spoiled) {
    const made = makeImage(t, { pageCount: 1, dataPages: [0] });
    const directory = join(dirname(made.path), 'own');
    mkdirSync(directory);
    const path = join(directory, 'image');
    renameSync(made.path, path);
    const images = new ImageSet(fileCalls);
    images.open('pc.ram', { path, writable: true });
    t.teardown(() => images.close());
    spoil(path);
    if (code === undefined) t.doesNotThrow(() => images.checkNames(), name);
    else t.throws(() => images.checkNames(), { name: 'MemoryError', fault: { code, path } }, name);
  }
});

function replaceByCopy(path: string): void {
  copyFileSync(path, `${path}.copy`);
  renameSync(`${path}.copy`, path);
}

function moveDirectory(path: string): void {
  renameSync(dirname(path), `${dirname(path)}.old`);
}
