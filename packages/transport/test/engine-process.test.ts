import t from 'tap';
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EngineProcess } from '../src/engine-process.ts';
import { Spare } from '../src/spare.ts';
import { system } from '../src/system.ts';

const ENTRY = fileURLToPath(new URL('./engine/engine-main.js', import.meta.url));

/** An engine that says what it gets, and its messages one by one. */
function startEngine(): { engine: EngineProcess; next: () => Promise<unknown>; failed: Promise<Error> } {
  const engine = new EngineProcess(ENTRY);
  const queue: unknown[] = [];
  const waiting: ((message: unknown) => void)[] = [];
  const failed = new Promise<Error>((resolve) => {
    engine.attach({
      onMessage: (message) => {
        const wake = waiting.shift();
        if (wake === undefined) queue.push(message);
        else wake(message);
      },
      onFailure: resolve,
    });
  });
  const next = async (): Promise<unknown> =>
    queue.length > 0
      ? queue.shift()
      : new Promise((resolve) => {
          waiting.push(resolve);
        });
  return { engine, next, failed };
}

void t.test('an engine gets open files late, with their locks, and keeps them', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pageferry-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'image');
  const image = openSync(path, 'w+');
  ftruncateSync(image, 8192);
  const lock = openSync(path, 'r');
  t.ok(system.tryLockExclusive(lock));
  const { engine, next } = startEngine();
  engine.giveFiles([image, lock]);
  engine.send({ count: 2 });
  t.same(await next(), { paths: [path, path] });
  closeSync(image);
  closeSync(lock);
  const other = openSync(path, 'r');
  t.equal(system.tryLockExclusive(other), false, 'the engine holds the lock after its daemon closed it');
  await engine.kill();
  t.equal(system.tryLockExclusive(other), true, 'and it ends with the engine');
  closeSync(other);
});

void t.test('an engine that is killed with files unread does not take its daemon along', async (t) => {
  const image = openSync(ENTRY, 'r');
  const { engine } = startEngine();
  engine.giveFiles([image]);
  closeSync(image);
  await engine.kill();
  await new Promise(setImmediate);
  t.equal(engine.isAlive, false);
});

void t.test('an engine yields to guests', async (t) => {
  const { engine, next } = startEngine();
  t.teardown(() => engine.kill());
  engine.send({ count: 0 });
  await next();
  const stat = readFileSync(`/proc/${engine.pid}/stat`, 'latin1');
  t.equal(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19 - 3], '5', 'nice 5');
});

void t.test('an end that nobody asked for is a failure, told once; a kill is none', async (t) => {
  const { engine, failed } = startEngine();
  process.kill(engine.pid ?? 0, 'SIGKILL');
  t.match((await failed).message, /ended by SIGKILL/);
  t.equal(engine.isAlive, false);
  engine.send({ count: 0 });
  await engine.kill();
});

void t.test('a spare is started once, and replaced when it died', async (t) => {
  let startedCount = 0;
  const spare = new Spare({
    start: () => {
      startedCount += 1;
      return { isAlive: true };
    },
    isAlive: ({ isAlive }) => isAlive,
    end: () => Promise.resolve(),
  });
  spare.prepare();
  spare.prepare();
  t.equal(startedCount, 1);
  const first = spare.take();
  t.equal(startedCount, 1, 'what was prepared is taken');
  t.not(spare.take(), first, 'and is not given twice');
  spare.prepare();
  const dead = spare.take();
  dead.isAlive = false;
  spare.prepare();
  t.ok(spare.take().isAlive);
  await spare.stop();
});

void t.test('without descriptors an engine is not started, and says so', (t) => {
  t.plan(2);
  const main = fileURLToPath(new URL('./engine/no-descriptors-main.js', import.meta.url));
  // A test runner's loaders would need descriptors of their own.
  const words = ['-u', 'NODE_OPTIONS', 'prlimit', '--nofile=40'];
  const options = { encoding: 'utf8' } as const;
  const { stdout, stderr, status } = spawnSync('env', [...words, process.execPath, main], options);
  const expected = JSON.stringify({ code: 'ENGINE_NOT_STARTED', errno: 'EMFILE' });
  t.equal(stdout, expected, stderr);
  t.equal(status, 0, 'the process that wanted it goes on');
});

void t.test('a spare that cannot be started is tried again when it is needed', (t) => {
  t.plan(2);
  const spare = new Spare<string>({
    start: () => {
      throw new Error('ENOMEM');
    },
    isAlive: () => true,
    end: async () => undefined,
  });
  t.doesNotThrow(() => spare.prepare());
  t.throws(() => spare.take(), { message: 'ENOMEM' });
});
