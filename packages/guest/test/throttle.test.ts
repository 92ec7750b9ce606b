// A duty cycle over a guest that keeps a record, with a clock that goes on only when the test lets it.
import t from 'tap';
import type { Clock, RunState } from '../src/guest.ts';
import { slicesOf, Throttle } from '../src/throttle.ts';

/** Runs while it is not held; `log` has every order with the time it was given at. */
class RecordingGuest {
  readonly log: (readonly [string, number])[] = [];
  state: RunState = 'running';
  failure: Error | null = null;
  readonly #clock: SteppedClock;

  constructor(clock: SteppedClock) {
    this.#clock = clock;
  }

  runState(): Promise<RunState> {
    return Promise.resolve(this.state);
  }

  async hold(): Promise<void> {
    this.log.push(['hold', this.#clock.now()]);
    if (this.failure !== null) throw this.failure;
    this.state = 'paused';
  }

  async release(): Promise<void> {
    this.log.push(['release', this.#clock.now()]);
    this.state = 'running';
  }
}

class SteppedClock implements Clock {
  #nowMs = 0;
  #wake: () => void = () => undefined;
  #onWait: () => void = () => undefined;
  readonly waits: number[] = [];

  now(): number {
    return this.#nowMs;
  }

  wait(milliseconds: number): Promise<void> {
    this.waits.push(milliseconds);
    const woken = new Promise<void>((resolve) => {
      this.#wake = () => {
        this.#nowMs += milliseconds;
        resolve();
      };
    });
    this.#onWait();
    return woken;
  }

  /** Resolves when somebody waits. */
  async untilWaiting(count: number): Promise<void> {
    while (this.waits.length < count)
      await new Promise<void>((resolve) => {
        this.#onWait = resolve;
      });
  }

  async step(): Promise<void> {
    const count = this.waits.length;
    this.#wake();
    await this.untilWaiting(count + 1);
  }
}

void t.test('slices add up to the share', (t) => {
  const table = [
    [20, { runningMs: 80, heldMs: 20 }],
    [50, { runningMs: 50, heldMs: 50 }],
    [90, { runningMs: 10, heldMs: 90 }],
    [99, { runningMs: 10, heldMs: 990 }],
  ] as const;
  t.plan(table.length);
  for (const [percentage, slices] of table) t.strictSame(slicesOf(percentage), slices);
});

void t.test('holds and releases in turn, at what is set now', async (t) => {
  t.plan(3);
  const clock = new SteppedClock();
  const guest = new RecordingGuest(clock);
  const throttle = new Throttle(guest, clock);
  throttle.set(20);
  await clock.untilWaiting(1);
  await clock.step();
  throttle.set(50);
  await clock.step();
  await clock.step();
  t.strictSame(guest.log, [
    ['hold', 0],
    ['release', 20],
    ['hold', 100],
    ['release', 150],
  ]);
  await throttle.stop();
  t.equal(guest.state, 'running');
  t.strictSame(clock.waits, [20, 80, 50, 50]);
});

void t.test('stop does not wait for the end of a slice', async (t) => {
  t.plan(3);
  const clock = new SteppedClock();
  const guest = new RecordingGuest(clock);
  const throttle = new Throttle(guest, clock);
  throttle.set(99);
  await clock.untilWaiting(1);
  t.equal(guest.state, 'paused');
  await throttle.stop();
  t.strictSame(guest.log.at(-1), ['release', 0]);
  await throttle.stop();
  t.equal(throttle.percentage, 0);
});

void t.test('a guest that somebody else has stopped is left alone', async (t) => {
  t.plan(1);
  const clock = new SteppedClock();
  const guest = new RecordingGuest(clock);
  guest.state = 'paused';
  const throttle = new Throttle(guest, clock);
  throttle.set(50);
  await clock.untilWaiting(1);
  await clock.step();
  await throttle.stop();
  t.strictSame(guest.log, []);
});

void t.test('a hold that fails is undone, and told at the stop', async (t) => {
  t.plan(4);
  const clock = new SteppedClock();
  const guest = new RecordingGuest(clock);
  guest.failure = new Error('hangs');
  const throttle = new Throttle(guest, clock);
  throttle.set(50);
  await t.rejects(throttle.stop(), { message: 'hangs' });
  t.strictSame(
    guest.log.map(([order]) => order),
    ['hold', 'release'],
  );
  guest.failure = null;
  throttle.set(50);
  await clock.untilWaiting(1);
  t.equal(guest.state, 'paused', 'it can begin again');
  await throttle.stop();
  t.throws(() => throttle.set(100), { name: 'RangeError' });
});
