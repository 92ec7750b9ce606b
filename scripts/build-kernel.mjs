// Compiles the page kernel (packages/xbzrle/assembly) to packages/xbzrle/dist/xbzrle.wasm, if a source is newer.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const assembly = join(root, 'packages/xbzrle/assembly');
const output = join(root, 'packages/xbzrle/dist/xbzrle.wasm');

const newest = Math.max(
  ...readdirSync(assembly)
    .filter((f) => f.endsWith('.ts'))
    .map((f) => statSync(join(assembly, f)).mtimeMs),
  statSync(fileURLToPath(import.meta.url)).mtimeMs,
);
if (!existsSync(output) || statSync(output).mtimeMs < newest) {
  mkdirSync(dirname(output), { recursive: true });
  const result = spawnSync(
    join(root, 'node_modules/.bin/asc'),
    [
      'index.ts',
      '--baseDir',
      assembly,
      '--outFile',
      output,
      '-O3',
      '--noAssert',
      '--runtime',
      'stub',
      '--enable',
      'simd,bulk-memory',
      '--importMemory',
    ],
    { stdio: 'inherit' },
  );
  if (result.status !== 0) process.exit(result.status ?? 1);
}
