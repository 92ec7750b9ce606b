/** What the daemon's process says and how it ends where its command line is wrong: named, and with exit code 2. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const MAIN = fileURLToPath(new URL('../src/main.js', import.meta.url));

void t.test('wrong options', (t) => {
  const folder = t.testdir();
  const state = join(folder, 'state');
  const none = join(folder, 'none');
  const table: readonly (readonly [option: string, value: string, said: RegExp])[] = [
    ['--api', '7801', /^pageferry-source: --api: 7801: must be unix:PATH or tcp:HOST:PORT/],
    ['--image-root', none, /^pageferry-source: --image-root: \/.*\/none does not exist\n$/],
    ['--qmp-root', none, /^pageferry-source: --qmp-root: \/.*\/none does not exist\n$/],
    ['--api-token-file', none, /\/none cannot be read: ENOENT: no such file or directory/],
  ];
  t.plan(2 * table.length + 1);
  for (const [option, value, said] of table) {
    const { status, stderr } = spawnSync(
      process.execPath,
      [MAIN, '--state-dir', state, '--image-root', folder, option, value],
      { encoding: 'utf8', timeout: 20_000, killSignal: 'SIGKILL' },
    );
    t.equal(status, 2, option);
    t.match(stderr, said, option);
  }
  t.notOk(existsSync(state), 'nothing was made');
});
