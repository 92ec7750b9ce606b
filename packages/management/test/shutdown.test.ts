/**
 * First signal: the handler; second: exit at once; taken back: nothing.
 */
import { EventEmitter } from 'node:events';
import t from 'tap';
import { type EndSignal, onceSignals } from '../src/index.ts';

class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
}

const sequences: readonly (readonly [
  signals: readonly EndSignal[],
  handled: EndSignal[],
  exits: number[],
])[] = [
  [['SIGTERM'], ['SIGTERM'], []],
  [['SIGINT'], ['SIGINT'], []],
  [['SIGTERM', 'SIGTERM'], ['SIGTERM'], [143]],
  [['SIGTERM', 'SIGINT'], ['SIGTERM'], [130]],
];

await t.test('signals', async (t) => {
  t.plan(2 * sequences.length);
  for (const [signals, handled, exits] of sequences) {
    const target = new FakeProcess();
    const seen: EndSignal[] = [];
    onceSignals((signal) => seen.push(signal), target);
    for (const signal of signals) target.emit(signal);
    t.strictSame(seen, handled, signals.join(' '));
    t.strictSame(target.exits, exits, signals.join(' '));
  }
});

await t.test('taken back', async (t) => {
  const target = new FakeProcess();
  onceSignals(() => t.fail('not listening any more'), target)();
  t.equal(target.listenerCount('SIGTERM') + target.listenerCount('SIGINT'), 0);
});
