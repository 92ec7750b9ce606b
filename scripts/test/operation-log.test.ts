// The log: what the oracle complains of, and where a continuing instance finds its place.
import t from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkLog } from '../src/workload/check-log.ts';
import { OperationLog, readLastOperations } from '../src/workload/operation-log.ts';

function logOf(t: { testdir(): string }, lines: readonly string[]): string {
  const path = join(t.testdir(), 'log');
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

void t.test('accepts a sequence that goes on in the next instance', async (t) => {
  t.plan(3);
  const path = logOf(t, [
    'a start 1',
    'a docs 1',
    'a random 1',
    'a docs 2',
    'b start 2',
    'b random 2',
    'b docs 3',
    'b docs 4',
  ]);
  const report = await checkLog(path);
  t.strictSame(report.problems, []);
  t.strictSame(Object.fromEntries(report.lastOperations), { docs: 4, random: 2 });
  t.strictSame(Object.fromEntries(report.instances), { a: 3, b: 3 });
});

void t.test('finds what is wrong', async (t) => {
  const table = [
    [['a random 1', 'b random 2', 'a random 3'], /line 3: double: a wrote after b had begun/],
    [['a random 1', 'b start 9', 'a random 2'], /line 3: double/],
    [['a random 1', 'a random 3'], /line 2: a did random 3, expected was 2/],
    [['a random 2'], /expected was 1/],
    [['a random 1', 'b random 1'], /line 2: b did random 1, expected was 2/],
    [['a start 1', 'a failed page 3: lost'], /a failed: page 3: lost/],
    [['a random'], /a did random NaN/],
    [['hello'], /not a line of a workload/],
  ] as const;
  t.plan(table.length);
  for (const [lines, problem] of table)
    t.match((await checkLog(logOf(t, lines))).problems.join('\n'), problem, lines.join(', '));
});

void t.test('finds the last operations from the end', (t) => {
  t.plan(3);
  const flood = Array.from({ length: 20_000 }, (_, index) => `a docs ${index + 1}`);
  const path = logOf(t, ['a random 1', 'a random 2', ...flood, 'b start 7']);
  t.strictSame(Object.fromEntries(readLastOperations(path, ['docs', 'random'])), { docs: 20_000, random: 2 });
  t.strictSame(Object.fromEntries(readLastOperations(path, ['docs'])), { docs: 20_000 });
  t.strictSame(Object.fromEntries(readLastOperations(logOf(t, []), ['random'])), { random: 0 });
});

void t.test('an instance is one word', (t) => {
  t.plan(1);
  t.throws(() => new OperationLog(join(t.testdir(), 'log'), 'a b'), /one word/);
});
