import t from 'tap';
import { goldenExamples } from './golden.ts';
import { readExamples } from './specification.ts';

const examples = readExamples();

void t.test('the specification and the tests have the same examples', (t) => {
  t.plan(1);
  t.same([...examples.keys()].sort(), [...goldenExamples.keys()].sort());
});

void t.test('every example of the specification, both ways', (t) => {
  t.plan(goldenExamples.size * 2);
  for (const [name, { value, encode, decode }] of goldenExamples) {
    const bytes = examples.get(name) ?? new Uint8Array(0);
    t.equal(hex(encode()), hex(bytes), `${name}: encoded`);
    t.strictSame(decode(bytes), value, `${name}: decoded`);
  }
});

void t.test('no truncated example is accepted, and none with a byte too many', (t) => {
  const decoded = [...goldenExamples].filter(([name]) => name !== 'root-mix');
  t.plan(decoded.length * 2);
  for (const [name, { decode }] of decoded) {
    const bytes = examples.get(name) ?? new Uint8Array(0);
    const accepted = Array.from({ length: bytes.length }, (_, length) => length).filter((length) =>
      isAccepted(decode, bytes.slice(0, length)),
    );
    t.same(accepted, [], `${name}: cut to these lengths`);
    t.notOk(isAccepted(decode, Uint8Array.of(...bytes, 0)), `${name}: and a byte`);
  }
});

function isAccepted(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  try {
    decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
