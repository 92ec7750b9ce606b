// Entry of every `npm run` command: brings pnpm, dependencies and build up to date, then runs the command.
// Plain JavaScript without dependencies, because it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name) => join(root, 'node_modules', '.bin', name);

function fail(message) {
  console.error(`pageferry: ${message}`);
  process.exit(1);
}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) fail(`${command} could not be started: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** Installs with the pinned pnpm, unless node_modules was made from this very lockfile. */
function install() {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const hash = createHash('sha256');
  for (const file of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml'])
    hash.update(readFileSync(join(root, file)));
  const stamp = hash.digest('hex');
  const stampFile = join(root, 'node_modules', '.pageferry-install');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  run('npx', ['--yes', packageManager, 'install', '--frozen-lockfile'], {
    env: { ...process.env, CI: 'true' },
  });
  writeFileSync(stampFile, stamp);
}

function build() {
  const kernel = join(root, 'packages/xbzrle/dist/xbzrle.wasm');
  mkdirSync(dirname(kernel), { recursive: true });
  run(process.execPath, [join(root, 'scripts/build-kernel.mjs')]);
  run(bin('tsc'), ['-b']);
}

function prepare() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) fail(`Node ${process.versions.node} is too old; Node 20 or later is needed.`);
  install();
  build();
}

/** Compiled tests below the folders given; tests run as they ship, from dist. */
function testFiles(folders) {
  return folders.flatMap((folder) => {
    const dist = join(root, folder, 'dist/test');
    if (!existsSync(dist)) return [];
    return readdirSync(dist, { recursive: true })
      .filter((file) => file.endsWith('.test.js'))
      .map((file) => relative(root, join(dist, file)));
  });
}

const packageFolders = () => readdirSync(join(root, 'packages')).map((name) => `packages/${name}`);
const tap = (files, args) => run(bin('tap'), ['run', ...args, ...files]);
const extra = process.argv.slice(3);
const unit = () => tap(extra.length > 0 ? extra : testFiles([...packageFolders(), 'scripts']), ['--jobs=2']);
const e2e = () => tap(extra.length > 0 ? extra : testFiles(['e2e']), ['--jobs=2', '--timeout=400']);
/** Real guests. `--all`: also what takes longer. Everything by itself on the machine: time is what these have little of. */
function qemu() {
  const isAll = extra.includes('--all');
  const named = extra.filter((argument) => argument !== '--all');
  const files = readdirSync(join(root, 'e2e/dist/test-qemu'), { recursive: isAll })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => join('e2e/dist/test-qemu', file));
  tap(named.length > 0 ? named : files, ['--jobs=1', '--timeout=3600']);
  if (isAll && named.length === 0) softDirty([]);
}

/** The soft-dirty tracker where the kernel has the bits: in a guest that runs this very build. */
const softDirty = (parts) => run(process.execPath, [join(root, 'e2e/dist/src/nested/main.js'), ...parts]);

const script = (name) => run(process.execPath, [join(root, `scripts/dist/src/${name}.js`), ...extra]);

/** Streams of this protocol version, and their dumps by the test that reads them. */
function captureFixtures() {
  run(process.execPath, [join(root, 'e2e/dist/src/capture-main.js')]);
  run(bin('tap'), ['run', 'scripts/dist/test/captured-streams.test.js'], {
    env: { ...process.env, UPDATE: '1' },
  });
}

const commands = {
  install: () => install(),
  build: () => prepare(),
  'test:unit': () => (prepare(), unit()),
  'test:e2e': () => (prepare(), e2e()),
  test: () => (prepare(), unit(), e2e()),
  'test:qemu': () => (prepare(), qemu()),
  'test:chaos': () => (
    prepare(),
    run(process.execPath, [join(root, 'e2e/dist/src/chaos/main.js'), ...extra])
  ),
  'test:soft-dirty': () => (prepare(), softDirty(extra)),
  lint: () => (prepare(), run(bin('oxlint'), ['--type-aware', '--deny-warnings'])),
  format: () => (install(), run(bin('prettier'), ['--write', '.'])),
  'format:check': () => (install(), run(bin('prettier'), ['--check', '.'])),
  demo: () => (prepare(), script('demo')),
  'demo:qemu': () => (prepare(), script('demo-qemu')),
  bench: () => (prepare(), script('bench')),
  'bench:seed': () => (prepare(), script('bench-seed')),
  'dump-stream': () => (prepare(), script('dump-stream')),
  'capture-stream': () => (prepare(), script('capture-stream')),
  'capture-fixtures': () => (prepare(), captureFixtures()),
};

const command = commands[process.argv[2] ?? ''];
if (!command) fail(`usage: node scripts/run.mjs <${Object.keys(commands).join('|')}>`);
command();
