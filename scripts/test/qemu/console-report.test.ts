/** Consoles joined: holes, repeats, bad verdicts and the pause, with moves in the middle of a line. */
import t from 'tap';
import { pauseBetween, reportOf } from '../../src/qemu/console-report.ts';
import { linesOf, Recording } from '../../src/qemu/serial-console.ts';

/** A recording from pairs of time and text. */
function recording(side: string, ...chunks: readonly (readonly [atMs: number, text: string])[]): Recording {
  const result = new Recording(side);
  for (const [atMs, text] of chunks) result.add(atMs, text);
  return result;
}

const before = recording(
  'a',
  [0, 'SeaBIOS\r\n'],
  [10, 'N 1\r\nN'],
  [20, ' 2\r\n'],
  [30, 'PATTERN ok pass 1\r\nN 3\r\nN '],
);
const after = recording('b', [130, '4\r\n'], [140, 'N 5\r\n']);

void t.test('a guest that moves in the middle of a line', async (t) => {
  const { first, last, problems, gaps } = reportOf([before, after]);
  t.same({ first, last, problems }, { first: 1, last: 5, problems: [] });
  t.same(gaps[0], { ms: 100, after: 3 });
  t.same(pauseBetween(before, after), { ms: 100, after: 3 });
  t.same(reportOf([before, after], 135).gaps, [{ ms: 10, after: 4 }], 'gaps that end after a time');
});

void t.test('a line ends when its last byte comes, and what has no end is none', async (t) => {
  t.same(linesOf([recording('a', [1, 'x'], [2, 'y\n'], [3, 'z'])]), [{ atMs: 2, text: 'xy' }]);
});

void t.test('what is wrong is said', async (t) => {
  const rows = [
    { text: 'N 1\nN 3\n', problem: '3 follows 1' },
    { text: 'N 1\nN 2\nN 2\n', problem: '2 follows 2' },
    {
      text: 'N 1\nPATTERN bad pass 2, 10 pages, 5 written\n',
      problem: 'printed: PATTERN bad pass 2, 10 pages, 5 written',
    },
    {
      text: 'N 1\nERROR page 7 word 3: 1 is wanted, 2 is there\n',
      problem: 'printed: ERROR page 7 word 3: 1 is wanted, 2 is there',
    },
    { text: 'SeaBIOS\n', problem: 'no number was printed' },
  ];
  for (const { text, problem } of rows) t.same(reportOf([recording('a', [0, text])]).problems, [problem]);
});
