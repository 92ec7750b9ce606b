import t from 'tap';
import {
  offerFacts,
  ProblemError,
  problemType,
  type HelloStart,
  type ProblemName,
} from '@pageferry/protocol';
import { checkFacts, checkToken, type TokenUse } from '../src/hello-check.ts';

const FACTS = ['machine pc-i440fx-7.2', 'memory pc.ram 1073741824'];

function hello(facts: readonly string[]): HelloStart {
  const { lines, sha256 } = offerFacts(facts);
  return {
    type: 'hello',
    purpose: 'start',
    versions: [1],
    sessionId: new Uint8Array(16),
    epoch: 1,
    guestType: 'qemu',
    ...(facts.length === 0 ? {} : { guestFacts: { lines: [...lines], sha256 } }),
    pageSize: 4096,
    blocks: [{ id: 'pc.ram', sizeBytes: 2 ** 30 }],
    streamCount: 1,
    secret: new Uint8Array(192),
    xbzrleCacheSizeBytes: 0,
    destinationReread: false,
    token: 'x',
    isResumable: false,
  };
}

void t.test('guests that are alike may move', (t) => {
  checkFacts(hello(FACTS), FACTS.toReversed());
  checkFacts(hello([]), []);
  t.pass('nothing was thrown');
  t.end();
});

void t.test('another machine, or one that says nothing of itself, is refused with the difference', (t) => {
  const others: [string[], RegExp][] = [
    [
      ['machine pc-q35-7.2', FACTS[1] ?? ''],
      /source: machine pc-i440fx-7\.2; .*destination: machine pc-q35-7\.2/,
    ],
    [[], /only at the source: machine pc-i440fx-7\.2, memory pc\.ram/],
  ];
  t.plan(2 * others.length);
  for (const [facts, detail] of others) {
    try {
      checkFacts(hello(FACTS), facts);
      t.fail('it was accepted');
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      t.equal(error.problem.type, problemType('hello-rejected'));
      t.match(error.problem.detail, detail);
    }
  }
});

void t.test('what is said of a token, right and wrong, before its use, in it and after', (t) => {
  const rows: readonly [use: TokenUse, token: string, name: ProblemName, retryable: boolean, hint: RegExp][] =
    [
      ['unused', 'y', 'token-refused', false, /still in effect/],
      ['in-use', 'x', 'migration-running', true, /until this one has ended/],
      ['in-use', 'y', 'token-refused', false, /until this one has ended/],
      ['ended', 'x', 'not-armed', false, /Arm the destination again: POST \/incoming\./],
      ['ended', 'y', 'token-refused', false, /Arm the destination again: POST \/incoming\./],
    ];
  t.plan(1 + rows.length);
  t.doesNotThrow(() => checkToken(hello([]), 'x', 'unused'));
  for (const [use, token, name, retryable, hint] of rows) {
    const detail = token === 'x' ? /was used already/ : /not the one/;
    const expected = { message: detail, problem: { type: problemType(name), retryable, hint } };
    t.throws(() => checkToken(hello([]), token, use), expected, `${use}, ${token}`);
  }
});
