// A monitor that stalls answers when the attempt that asked has failed: nothing more is done in its name.
import { EventEmitter, once } from 'node:events';
import type { RunState, SourceState } from '@pageferry/handover';
import { defaultParameters, migrateBody } from '@pageferry/protocol';
import type { RoundScope } from '@pageferry/memory';
import { pino } from 'pino';
import t from 'tap';
import { Failure } from '../src/failure.ts';
import { Rounds } from '../src/rounds.ts';
import { Settings } from '../src/settings.ts';
import { Statistics } from '../src/statistics.ts';
import { pause } from '../src/switchover.ts';
import { trackedGuest } from '../src/tracked-guest.ts';

const LOST = new Error('the link is lost');
const PAUSED: SourceState = { phase: 'paused', epoch: 1, abortedEpoch: 0, priorRunState: 'running' };

/** What was done, in order, with a guest whose answer is waited for while the attempt fails, or does not. */
async function doneWith(
  isFailing: boolean,
  start: (moment: {
    readonly failure: Failure;
    readonly runState: () => Promise<RunState>;
    readonly scope: () => Promise<RoundScope>;
    readonly note: (what: string) => void;
  }) => Promise<unknown>,
): Promise<string[]> {
  const done: string[] = [];
  const failure = new Failure();
  const monitor = new EventEmitter();
  const answer = once(monitor, 'answer');
  const work = start({
    failure,
    runState: () => answer.then(() => 'running'),
    scope: () => answer.then(() => 'everything'),
    note: (what) => done.push(what),
  });
  if (isFailing) failure.fail(LOST);
  monitor.emit('answer');
  await work.catch((error: unknown) => done.push(error === LOST ? 'lost' : String(error)));
  return done;
}

void t.test('a guest is not paused', async (t) => {
  t.plan(2);
  for (const isFailing of [false, true]) {
    const done = await doneWith(isFailing, ({ failure, runState, note }) => {
      const ownership = {
        pause: async (): Promise<SourceState> => {
          note('paused');
          return PAUSED;
        },
      };
      return pause(ownership, { runState }, failure, () => note('ordered'));
    });
    t.same(done, isFailing ? ['lost'] : ['ordered', 'paused']);
  }
});

void t.test('nor stopped for a moment', async (t) => {
  t.plan(2);
  for (const isFailing of [false, true]) {
    const done = await doneWith(isFailing, ({ failure, runState, note }) => {
      const guest = { type: 'qemu', runState, unseenWrites: async () => [] } as const;
      const setup = { body: { guest: { type: 'none' } }, guest, images: { blocks: [] } } as const;
      const ownership = { pulse: async (_: RunState, work: () => Promise<void>) => work() };
      return trackedGuest(setup, ownership, failure).pulse(async () => note('stopped'));
    });
    t.same(done, isFailing ? ['lost'] : ['stopped']);
  }
});

void t.test('no round is sent', async (t) => {
  t.plan(4);
  for (const isFinal of [false, true]) {
    for (const isFailing of [false, true]) {
      const done = await doneWith(isFailing, ({ failure, scope, note }) => {
        const rounds = roundsWith(scope);
        const setup = {
          engine: {
            round: async () => {
              note(`round ${rounds.current}`);
              throw LOST;
            },
            setBandwidth: () => undefined,
          },
          link: { send: () => undefined, sendDeviceState: async () => undefined, roundTripMs: 1 },
          images: { allocatedBytes: 0 },
          guest: { type: 'process' },
          epoch: 1,
          isGuestStopped: false,
          hasBase: false,
          journalMs: 1,
          failure,
        } as const;
        return isFinal ? rounds.final(setup) : rounds.iterate(setup);
      });
      t.same(done, isFailing ? ['lost'] : ['round 1', 'lost'], isFinal ? 'the final one' : 'one more');
    }
  }
});

function roundsWith(checkConditions: () => Promise<RoundScope>): Rounds {
  const tracking = {
    checkConditions,
    finalScope: 'everything',
    scope: 'everything',
    roundEnded: () => undefined,
    finalDecided: () => undefined,
    takeWatched: () => undefined,
  } as const;
  return new Rounds({
    body: migrateBody.parse({ uri: 'tcp:127.0.0.1:1', token: 'a', blocks: [{ id: 'ram', path: '/a' }] }),
    settings: new Settings(defaultParameters()),
    statistics: new Statistics(0),
    tracking,
    logger: pino({ level: 'silent' }),
    onConfirmed: () => undefined,
  });
}
