/**
 * The table of problems: well-formed rows, names and types that are inverses, and the error that carries one.
 */
import t from 'tap';
import {
  describeProblem,
  problemDetails,
  ProblemError,
  problemName,
  type ProblemName,
  problems,
  problemType,
} from '../src/index.ts';

await t.test('rows', async (t) => {
  const names = Object.keys(problems);
  t.plan(2 * names.length);
  for (const [name, row] of Object.entries(problems)) {
    t.match(name, /^[a-z]+(?:-[a-z]+)*$/);
    t.ok(row.status >= 400 && row.status < 600 && /^[A-Z].*[^.]$/.test(row.title), name);
  }
});

await t.test('type and name are inverses; foreign types have no name', async (t) => {
  for (const name of ['image-size', 'internal'] satisfies ProblemName[])
    t.equal(problemName(problemType(name)), name);
  for (const type of [
    'about:blank',
    'urn:pageferry:problem:',
    'urn:pageferry:problem:toString',
    'image-size',
  ]) {
    t.equal(problemName(type), undefined, type);
  }
});

await t.test('the error', async (t) => {
  const cause = new Error('ENOENT');
  const error = new ProblemError('image-missing', '/dev/shm/a is not there', { peer: 'destination', cause });
  t.equal(error.message, '/dev/shm/a is not there');
  t.equal(error.cause, cause);
  t.strictSame(problemDetails.parse(error.problem), {
    type: 'urn:pageferry:problem:image-missing',
    title: 'The memory image does not exist',
    status: 422,
    detail: '/dev/shm/a is not there',
    retryable: false,
    peer: 'destination',
  });
  t.equal(
    describeProblem('image-missing', '', { retryable: true }).retryable,
    true,
    'what is particular wins',
  );
});
