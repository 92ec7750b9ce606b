import t from 'tap';
import { againIfCrashed } from '../src/nested/emulator.ts';

const SEGV = new Error(
  'POST /migrate: 500 urn:pageferry:problem:engine-died: the engine was ended by SIGSEGV',
);
const TRAP = new Error('the migration is over: failed, the engine cannot go on: memory access out of bounds');

/** Fails with these, one after another, then succeeds. */
function failing(errors: Error[]): () => Promise<string> {
  return async () => {
    const error = errors.shift();
    if (error !== undefined) throw error;
    return 'done';
  };
}

void t.test('an engine that crashes is tried again twice; nothing else is', async (t) => {
  let restored = 0;
  const restore = (): void => void (restored += 1);
  t.equal(await againIfCrashed(failing([SEGV, TRAP]), restore), 'done');
  t.equal(restored, 2);
  await t.rejects(againIfCrashed(failing([SEGV, TRAP, SEGV]), restore), SEGV);
  const killed = new Error('the engine was ended by SIGKILL');
  await t.rejects(againIfCrashed(failing([killed]), restore), killed);
  t.equal(restored, 4);
});
