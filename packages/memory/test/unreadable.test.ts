import t from 'tap';
import { describeUnreadable, unreadableHint } from '../src/unreadable.ts';

void t.test('the processes are named, the first of many', (t) => {
  const rows: readonly (readonly [count: number, text: string])[] = [
    [1, 'process 1 cannot be read: it may map /a.ram'],
    [2, 'processes 1, 2 cannot be read: one of them may map /a.ram'],
    [8, 'processes 1, 2, 3, 4, 5, 6, 7, 8 cannot be read: one of them may map /a.ram'],
    [9, 'processes 1, 2, 3, 4, 5, 6, 7, 8 and 1 more cannot be read: one of them may map /a.ram'],
  ];
  t.plan(rows.length);
  for (const [count, text] of rows) {
    const pids = Array.from({ length: count }, (_, index) => index + 1);
    t.equal(describeUnreadable(pids, '/a.ram'), `the mappings of ${text}`);
  }
});

void t.test('a daemon that is root is not told to be', (t) => {
  t.plan(2);
  t.match(unreadableHint({ isRoot: false }), /^Run the daemon as a user that may read/);
  t.match(unreadableHint({ isRoot: true }), /^The daemon is root, .* CAP_SYS_PTRACE/);
});
