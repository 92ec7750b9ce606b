/** Engines and their threads are started for every attempt, while a user waits: they load no schemas (protocol/wire.ts). */
import t from 'tap';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const NOTE_MODULES = new URL('../src/note-modules.js', import.meta.url).href;
const packages = new URL('../../../packages/', import.meta.url);
const NEEDS_LIBRARY = /node_modules\/(zod|msgpackr|fastify|pino)\//;

/** The files that `entry` loads, as URLs. */
function modulesOf(entry: string): string[] {
  const file = fileURLToPath(new URL(entry, packages));
  const { stderr } = spawnSync(process.execPath, ['--import', NOTE_MODULES, file], { encoding: 'utf8' });
  return stderr.split('\n').filter((line) => line.startsWith('file:'));
}

for (const side of ['source', 'dest']) {
  for (const entry of ['engine/main.js', 'engine/stream-main.js']) {
    void t.test(`${side}/src/${entry}`, (t) => {
      const modules = modulesOf(`${side}/dist/src/${entry}`);
      t.ok(
        modules.some((url) => url.endsWith('/transport/dist/src/frame-socket.js')),
        'what the engine does need is seen',
      );
      t.same(
        modules.filter((url) => NEEDS_LIBRARY.test(url)),
        [],
        'no schemas',
      );
      t.end();
    });
  }
}
