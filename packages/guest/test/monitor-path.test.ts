// Where a monitor really is, links resolved, and whether that is where monitors may be.
import t from 'tap';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resolveMonitorPath } from '../src/monitor-path.ts';

void t.test('links are resolved, a socket that is still to come is not needed', async (t) => {
  t.plan(4);
  const folder = t.testdir({ real: { qmp: '' } });
  symlinkSync(join(folder, 'real'), join(folder, 'link'));
  symlinkSync(join(folder, 'real', 'qmp'), join(folder, 'alias'));
  const real = join(folder, 'real', 'qmp');
  t.equal(await resolveMonitorPath(join(folder, 'link', 'qmp'), null), real);
  t.equal(await resolveMonitorPath(join(folder, 'alias'), null), real);
  t.equal(await resolveMonitorPath(join(folder, 'link', 'to-come'), null), join(folder, 'real', 'to-come'));
  await t.rejects(resolveMonitorPath(join(folder, 'nowhere', 'qmp'), null), {
    name: 'GuestError',
    fault: { code: 'monitor-unreachable', errno: 'ENOENT' },
  });
});

void t.test('a root holds what is below it, wherever links point', async (t) => {
  t.plan(4);
  const folder = t.testdir({ root: {}, 'root-not': {} });
  writeFileSync(join(folder, 'outside'), '');
  mkdirSync(join(folder, 'root', 'sub'));
  symlinkSync(join(folder, 'outside'), join(folder, 'root', 'escape'));
  const root = join(folder, 'root');
  t.equal(await resolveMonitorPath(join(root, 'sub', 'qmp'), root), join(root, 'sub', 'qmp'));
  const outside = { name: 'GuestError', fault: { code: 'monitor-outside-root', root } };
  await t.rejects(resolveMonitorPath(join(root, 'escape'), root), outside);
  await t.rejects(resolveMonitorPath(join(root, '..', 'outside'), root), outside);
  await t.rejects(resolveMonitorPath(join(folder, 'root-not', 'qmp'), root), outside);
});
