import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { clearSoftDirty, findAccessProblem, findSoftDirtyProblem } from '../src/soft-dirty-clear.ts';
import { makeFolder, makeImage } from './image-folder.ts';
import { PRESENT, PRESENT_WRITTEN, setEntries, writeProcess } from './proc-folder.ts';

const STACK = 0x7ff000000;

void t.test('a kernel with bits has set some in our own stack', (t) => {
  t.plan(6);
  const proc = makeFolder(t);
  t.match(findSoftDirtyProblem({ proc }), /cannot be read: .*ENOENT/);
  mkdirSync(join(proc, 'self'));
  writeFileSync(join(proc, 'self', 'maps'), '00400000-00401000 r-xp 00000000 00:00 0\n');
  t.match(findSoftDirtyProblem({ proc }), /no stack/);
  const line = `${STACK.toString(16)}-${(STACK + 0x21000).toString(16)} rw-p 00000000 00:00 0     [stack]\n`;
  writeFileSync(join(proc, 'self', 'maps'), `00400000-00401000 r-xp 00000000 00:00 0\n${line}`);
  writeFileSync(join(proc, 'self', 'pagemap'), '');
  setEntries(proc, 'self', STACK, 33, PRESENT);
  t.match(findSoftDirtyProblem({ proc }), /CONFIG_MEM_SOFT_DIRTY/);
  setEntries(proc, 'self', STACK + 32 * 4096, 1, PRESENT_WRITTEN);
  t.equal(findSoftDirtyProblem({ proc }), undefined);
  setEntries(proc, 'self', STACK + 32 * 4096, 1, PRESENT);
  t.match(findSoftDirtyProblem({ proc }), /CONFIG_MEM_SOFT_DIRTY/);
  const problem = findSoftDirtyProblem();
  t.ok(problem === undefined || /CONFIG_MEM_SOFT_DIRTY/.test(problem), 'this machine has them, or has not');
});

void t.test('each process is cleared, once; one that ended has no bits', (t) => {
  t.plan(5);
  const proc = makeFolder(t);
  const image = makeImage(t, { pageCount: 1, dataPages: [] });
  for (const pid of [10, 11]) writeProcess(proc, pid, image);
  t.equal(findAccessProblem(10, { proc }), undefined);
  t.equal(findAccessProblem(99, { proc }), undefined, 'nothing to be seen is no problem of permission');
  clearSoftDirty([10, 11, 10, 99], { proc });
  t.same(
    [10, 11].map((pid) => readFileSync(join(proc, String(pid), 'clear_refs'), 'utf8')),
    ['4', '4'],
  );
  rmSync(join(proc, '11', 'clear_refs'));
  mkdirSync(join(proc, '11', 'clear_refs'));
  t.match(findAccessProblem(11, { proc }), /11\/clear_refs cannot be opened: EISDIR/);
  t.throws(() => clearSoftDirty([10, 11], { proc }), {
    name: 'MemoryError',
    fault: { code: 'io', errno: 'EISDIR' },
  });
});
