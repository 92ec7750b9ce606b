import t from 'tap';
import { destinationExecutor, type DestinationPorts } from '../src/dest-executor.ts';
import { beginDestination } from '../src/dest-step.ts';
import { HandoverError } from '../src/errors.ts';
import { sourceExecutor, type SourcePorts } from '../src/source-executor.ts';
import { beginSource } from '../src/source-step.ts';

interface Script {
  /** The action whose promise is rejected, each time it is called. */
  readonly failing?: string;
  /** What `resume` or `start` answers. */
  readonly answer?: 'gone' | 'refused';
}

function sourcePorts(log: string[], { failing, answer }: Script = {}): SourcePorts {
  const act = async (name: string): Promise<void> => {
    log.push(name);
    await Promise.resolve();
    if (name === failing) throw new Error(`${name} does not work`);
  };
  return {
    journal: { write: (record, { sync }) => act(`journal ${record.phase}${sync ? ' sync' : ''}`) },
    guard: { arm: () => act('arm'), release: () => act('release') },
    guest: {
      pause: () => act('pause'),
      resume: async () => {
        await act('resume');
        return answer === 'gone' ? 'gone' : 'resumed';
      },
    },
    endEngine: () => act('end-engine'),
    send: (epoch, message) => log.push(`send ${message.type} ${epoch}`),
    report: (report) => log.push(`report ${report.outcome}`),
  };
}

function destinationPorts(log: string[], { failing, answer }: Script = {}): DestinationPorts {
  const act = async (name: string): Promise<void> => {
    log.push(name);
    await Promise.resolve();
    if (name === failing) throw new Error(`${name} does not work`);
  };
  return {
    journal: { write: (record) => act(`journal ${record.phase}`) },
    guest: {
      prepare: async () => {
        await act('prepare');
        return { type: 'none', padding: answer === 'refused' ? '' : 'x' };
      },
      start: async (_guest, { isFirstOrder }) => {
        await act(isFirstOrder ? 'start' : 'start again');
        return answer === 'refused' ? { outcome: 'refused', reason: 'no' } : { outcome: 'running' };
      },
      destroy: () => act('destroy'),
    },
    endEngine: () => act('end-engine'),
    send: (epoch, message) => log.push(`send ${message.type} ${epoch}`),
    report: (report) => log.push(`report ${report.outcome}`),
  };
}

const toPaused = ['journal precopy', 'arm', 'journal pausing', 'pause'];
const back = ['release', 'report rolled-back', 'journal rolled-back'];

void t.test('source: a whole handover, in order', async (t) => {
  const log: string[] = [];
  const first = beginSource(1);
  const handover = sourceExecutor(first, sourcePorts(log));
  await handover.begin(first.effects);
  // Not awaited one by one: the executor keeps the order.
  void handover.deliver({ type: 'begin-switchover', priorRunState: 'running' });
  void handover.deliver({ type: 'final-round-done' });
  void handover.deliver({ type: 'message', epoch: 1, message: { type: 'ready' } });
  const state = await handover.deliver({ type: 'message', epoch: 1, message: { type: 'running' } });
  t.equal(state.phase, 'completed');
  t.same(log, [
    ...toPaused,
    'send handover 1',
    'journal committed sync',
    'release',
    'send commit 1',
    'journal completed',
    'report completed',
  ]);
});

void t.test('source: after an effect that fails the rest of its list is not done', async (t) => {
  const cases: [string, string, string[], string][] = [
    [
      'arm',
      'rolled-back',
      [...toPaused.slice(0, 2), 'send abort 1', 'resume', ...back],
      'a guard that cannot be armed',
    ],
    [
      'journal pausing',
      'rolled-back',
      [...toPaused.slice(0, 3), 'send abort 1', 'resume', ...back],
      'an intent that cannot be journaled',
    ],
    [
      'pause',
      'rolled-back',
      [...toPaused, 'send abort 1', 'resume', ...back],
      'a guest that cannot be paused',
    ],
    [
      'resume',
      'resuming',
      [...toPaused, 'send abort 1', 'resume', 'report trouble'],
      'a guest that cannot be resumed',
    ],
  ];
  t.plan(2 * cases.length);
  for (const [failing, phase, expected, name] of cases) {
    const log: string[] = [];
    const first = beginSource(1);
    const handover = sourceExecutor(first, sourcePorts(log, { failing }));
    await handover.begin(first.effects);
    await handover.deliver({ type: 'begin-switchover', priorRunState: 'running' });
    if (failing === 'resume') await handover.deliver({ type: 'cancel' });
    t.equal(handover.state.phase, phase, name);
    t.same(log, expected, name);
  }
});

void t.test(
  'source: a commit whose journal write fails is revoked on disk before the guest is resumed',
  async (t) => {
    const log: string[] = [];
    const first = beginSource(1);
    const handover = sourceExecutor(
      first,
      sourcePorts(log, { failing: 'journal committed sync', answer: 'gone' }),
    );
    await handover.begin(first.effects);
    await handover.deliver({ type: 'begin-switchover', priorRunState: 'running' });
    await handover.deliver({ type: 'final-round-done' });
    await handover.deliver({ type: 'message', epoch: 1, message: { type: 'ready' } });
    t.equal(handover.state.phase, 'rolled-back');
    t.same(log.slice(toPaused.length), [
      'send handover 1',
      'journal committed sync',
      'send abort 1',
      'journal pausing sync',
      'resume',
      'report trouble',
      ...back,
    ]);
  },
);

void t.test('destination: each way an epoch ends', async (t) => {
  const begun = ['journal receiving', 'journal preparing', 'prepare'];
  const ready = [...begun, 'journal prepared', 'send ready 1'];
  const cases: [Script, string, string[]][] = [
    [
      {},
      'running',
      [...ready, 'journal starting', 'start', 'journal running', 'send running 1', 'report completed'],
    ],
    [
      { answer: 'refused' },
      'refused',
      [
        ...ready,
        'journal starting',
        'start',
        'journal destroying',
        'destroy',
        'journal refused',
        'send refused 1',
        'report refused',
      ],
    ],
    [{ failing: 'start' }, 'starting', [...ready, 'journal starting', 'start', 'report trouble']],
    [{ failing: 'journal starting' }, 'prepared', [...ready, 'journal starting', 'report trouble']],
    [
      { failing: 'journal prepared' },
      'aborted',
      [
        ...begun,
        'journal prepared',
        'journal destroying',
        'destroy',
        'journal aborted',
        'send aborted 1',
        'report aborted',
        'send aborted 1',
      ],
    ],
  ];
  t.plan(2 * cases.length);
  for (const [script, phase, expected] of cases) {
    const log: string[] = [];
    const first = beginDestination(1);
    const handover = destinationExecutor(first, destinationPorts(log, script));
    await handover.begin(first.effects);
    await handover.deliver({ type: 'handover-verified', epoch: 1, runState: 'running' });
    await handover.deliver({ type: 'message', epoch: 1, message: { type: 'commit' } });
    t.equal(handover.state.phase, phase);
    t.same(log, expected);
  }
});

void t.test("a peer's fault leaves the state as it was; a bug ends the executor", async (t) => {
  const log: string[] = [];
  const first = beginDestination(1);
  const handover = destinationExecutor(first, destinationPorts(log, { failing: 'end-engine' }));
  await handover.begin(first.effects);
  const commit = { type: 'message', epoch: 1, message: { type: 'commit' } } as const;
  await t.rejects(handover.deliver(commit), /message commit is not expected in state receiving/);
  t.equal(handover.state.phase, 'receiving');
  await handover.deliver({ type: 'failed', reason: 'the engine died' });
  t.equal(handover.state.phase, 'aborted');
  await t.rejects(handover.deliver({ type: 'guest-started' }), HandoverError);
  await t.rejects(handover.begin([{ type: 'end-engine' }]), /end-engine does not work/);
  await t.rejects(handover.deliver({ type: 'retry' }), /end-engine does not work/);
  await handover.idle();
});
