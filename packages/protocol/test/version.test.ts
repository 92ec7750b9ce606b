import t from 'tap';
import { ProtocolError } from '../src/errors.ts';
import { checkChosenVersion, selectVersion, SUPPORTED_VERSIONS } from '../src/version.ts';

void t.test('the newest common version, whatever the order', (t) => {
  const cases: [readonly number[], readonly number[], number][] = [
    [[1], [1], 1],
    [[1, 2, 3], [2, 1], 2],
    [[3, 1, 2], [1, 2], 2],
    [[9, 1], [1, 7], 1],
  ];
  t.plan(cases.length + 1);
  for (const [offered, supported, selected] of cases) {
    t.equal(selectVersion(offered, supported), selected, `${offered.join()} and ${supported.join()}`);
  }
  t.same(SUPPORTED_VERSIONS, [1]);
});

void t.test('both lists are in the errors', (t) => {
  t.plan(3);
  const offered = [2, 3];
  t.throws(
    () => selectVersion(offered),
    new ProtocolError({ code: 'no-common-version', offered, supported: SUPPORTED_VERSIONS }),
  );
  t.throws(
    () => checkChosenVersion(2, [1, 3]),
    new ProtocolError({ code: 'version-not-offered', chosen: 2, offered: [1, 3] }),
  );
  t.doesNotThrow(() => checkChosenVersion(1));
});
