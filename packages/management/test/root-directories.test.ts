/** The roots must be there; the default of the monitors' one need not. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Origin } from '../src/config.ts';
import { checkRoots } from '../src/root-directories.ts';

function check(images: string, monitors: string, origin: Origin): () => void {
  return () =>
    checkRoots({
      values: { 'image-root': images, 'qmp-root': monitors },
      origins: { 'image-root': origin, 'qmp-root': origin },
    });
}

void t.test('roots', (t) => {
  const folder = t.testdir();
  const none = join(folder, 'none');
  const file = join(folder, 'file');
  writeFileSync(file, '');
  t.doesNotThrow(check(folder, folder, 'flag'));
  t.doesNotThrow(check(folder, none, 'default'));
  const refused = [
    [check(none, folder, 'flag'), 'image-root', /^--image-root: \/.*\/none does not exist$/],
    [check(none, folder, 'default'), 'image-root', /^--image-root: .* does not exist$/],
    [check(none, folder, 'environment'), 'image-root', /^PAGEFERRY_IMAGE_ROOT: .* does not exist$/],
    [check(folder, none, 'flag'), 'qmp-root', /^--qmp-root: .* does not exist$/],
    [check(folder, none, 'file'), 'qmp-root', /^qmp-root in the configuration file: .* does not exist$/],
    [check(file, folder, 'flag'), 'image-root', /is not a directory$/],
    [check(join(file, 'x'), folder, 'flag'), 'image-root', /cannot be used: ENOTDIR/],
  ] as const;
  for (const [start, option, message] of refused)
    t.throws(start, { message, fault: { code: 'configuration', option } });
  t.end();
});
