import t from 'tap';
import { differenceOfFacts, offerFacts } from '../src/guest-facts.ts';
import { GUEST_FACTS_MAX, GUEST_FACTS_MAX_BYTES } from '../src/limits.ts';

const FACTS = ['machine pc-q35-7.2', 'memory pc.ram 1073741824', 'device net0 virtio-net-pci'];

void t.test('the same facts in another order do not differ', (t) => {
  t.equal(differenceOfFacts(offerFacts(FACTS), FACTS.toReversed()), undefined);
  t.equal(differenceOfFacts(offerFacts([]), []), undefined);
  t.end();
});

void t.test('what differs is named, side by side', (t) => {
  const ours = ['machine pc-i440fx-7.2', ...FACTS.slice(1)];
  t.equal(
    differenceOfFacts(offerFacts(FACTS), ours),
    'only at the source: machine pc-q35-7.2; only at the destination: machine pc-i440fx-7.2',
  );
  t.equal(
    differenceOfFacts(offerFacts(FACTS), FACTS.slice(0, 2)),
    'only at the source: device net0 virtio-net-pci',
  );
  t.end();
});

void t.test('many facts fit into hello, and a difference beyond them is still seen', (t) => {
  const many = Array.from({ length: 1000 }, (_, index) => `device ${String(index).padStart(4, '0')}`);
  const offered = offerFacts(many);
  t.equal(offered.lines.length, GUEST_FACTS_MAX);
  t.equal(differenceOfFacts(offered, many), undefined);
  t.equal(
    differenceOfFacts(offered, [...many.slice(0, -1), 'device none']),
    'beyond the facts that are listed in hello',
  );
  const long = offerFacts(Array.from({ length: 100 }, (_, index) => `${index} ${'x'.repeat(1000)}`));
  t.ok(long.lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0) <= GUEST_FACTS_MAX_BYTES);
  t.end();
});
