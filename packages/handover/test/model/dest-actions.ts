// What can happen at the destination's side: the daemon's next effect or event, and its guest's death.
import type { DestinationEffect } from '../../src/effects.ts';
import type { DestinationEvent } from '../../src/dest-states.ts';
import { judgeHello } from '../../src/epochs.ts';
import { HandoverError } from '../../src/errors.ts';
import { destinationActor, type Rules } from './rules.ts';
import type { DestinationActor, Hello, ToDestination, ToSource, Transition, World } from './world.ts';

interface Outcome {
  readonly label: string;
  readonly isFault: boolean;
  readonly world: World;
  readonly event: DestinationEvent | null;
}

/** The model's guest needs no name. */
const GUEST = { type: 'process' };

export function destinationTransitions(world: World, rules: Rules): Transition[] {
  const actor = world.destination;
  const death = guestDeath(world);
  if (actor === null) return death;
  const next = actor.queue.length > 0 ? nextEffect(world, rules, actor) : idle(world, rules, actor);
  return [...next, ...death];
}

function nextEffect(world: World, rules: Rules, actor: DestinationActor): Transition[] {
  const [effect, ...queue] = actor.queue;
  if (effect === undefined) return [];
  return perform(world, effect).flatMap(({ label, isFault, world: after, event }) => {
    if (isFault && world.budget.failures === 0) return [];
    const next =
      event === null
        ? { state: actor.state, queue }
        : destinationActor(rules.destinationStep(actor.state, event));
    return [transition(label, isFault ? 'fault' : 'fair', sendNow({ ...after, destination: next }))];
  });
}

/** Sending is one with the effect before it: a crash in between loses the message as a crash behind it may. */
function sendNow(world: World): World {
  const [effect, ...queue] = world.destination?.queue ?? [];
  if (world.destination === null || effect?.type !== 'send' || !canSend(world, effect.epoch)) return world;
  const { epoch, message } = effect;
  const destination = { ...world.destination, queue };
  return sendNow({ ...world, destination, toSource: [...world.toSource, { epoch, message }] });
}

/** A link that an older epoch opened takes nothing of a newer one: it is answered apart (epochs.ts). */
function canSend({ isLinkUp, source }: World, epoch: number): boolean {
  return isLinkUp && source !== null && epoch <= source.state.epoch;
}

function perform(world: World, effect: DestinationEffect): Outcome[] {
  switch (effect.type) {
    case 'journal': {
      const label = `journal ${effect.record.phase}`;
      const after = { ...world, destinationRecord: effect.record };
      const failed: DestinationEvent = { type: 'journal-failed', reason: '' };
      return [
        ok(label, after, null),
        fault(`${label} fails, nothing written`, world, failed),
        fault(`${label} fails, but is written`, after, failed),
      ];
    }
    case 'prepare-guest':
      return [
        ok(
          'prepare guest',
          { ...world, destinationGuest: 'stopped' },
          { type: 'guest-prepared', guest: GUEST },
        ),
        fault('prepare fails', world, { type: 'prepare-failed', reason: '' }),
      ];
    case 'start-guest':
      return start(world, effect.isFirstOrder);
    case 'destroy-guest':
      return [
        ok('destroy guest', { ...world, destinationGuest: dead(world) }, { type: 'guest-destroyed' }),
        fault('destroy fails', world, { type: 'destroy-failed', reason: '' }),
      ];
    case 'send': {
      const { epoch, message } = effect;
      if (!canSend(world, epoch)) return [ok(`drop ${message.type}`, world, null)];
      const toSource = [...world.toSource, { epoch, message }];
      return [ok(`send ${message.type}(${epoch})`, { ...world, toSource }, null)];
    }
    case 'end-engine':
      return [ok('end engine', { ...world, isEngineWriting: false, isOrphanWriting: false }, null)];
    case 'report':
      return [ok('report', world, null)];
  }
}

/** A guest that is gone is proof only if it cannot have run: no order before this one, or its own launch record. */
function start(world: World, isFirstOrder: boolean): Outcome[] {
  const running: World = { ...world, destinationGuest: 'running', hasRun: true };
  if (world.destinationGuest === 'running')
    return [ok('start: runs already', world, { type: 'guest-started' })];
  if (world.destinationGuest === 'stopped') {
    const never: World = { ...world, destinationGuest: 'dead' };
    return [
      ok('start guest', running, { type: 'guest-started' }),
      fault('start refused', never, { type: 'start-refused', reason: '' }),
      fault('start not answered, guest runs', running, { type: 'start-unknown', reason: '' }),
      fault('start not answered, guest stopped', world, { type: 'start-unknown', reason: '' }),
    ];
  }
  if (isFirstOrder || !world.hasRun)
    return [ok('start: no guest', world, { type: 'start-refused', reason: '' })];
  return [ok('start: ran and ended', world, { type: 'guest-started' })];
}

function dead(world: World): World['destinationGuest'] {
  return world.destinationGuest === 'absent' ? 'absent' : 'dead';
}

function idle(world: World, rules: Rules, actor: DestinationActor): Transition[] {
  const [next, ...toDestination] = world.toDestination;
  const stale = world.staleToDestination;
  const { phase } = actor.state;
  return [
    ...(next ? receive({ ...world, toDestination }, rules, actor, next, 'fair') : []),
    ...(stale ? receive({ ...world, staleToDestination: null }, rules, actor, stale, 'chance') : []),
    ...(phase === 'starting' || phase === 'destroying'
      ? [deliver('retries', world, rules, actor, { type: 'retry' }, 'fair')]
      : []),
    // Without its source it waits for pages to go on, or it does not.
    ...(phase === 'receiving' && !world.isLinkUp
      ? [deliver('gives up', world, rules, actor, { type: 'failed', reason: '' }, 'chance')]
      : []),
    ...operator(world, rules, actor),
    ...(world.budget.failures > 0 ? setbacks(world, rules, actor) : []),
  ];
}

/** What docs/operations.md says where the source's host is gone for good; a takeover too early changes nothing. */
function operator(world: World, rules: Rules, actor: DestinationActor): Transition[] {
  const { phase, epoch } = actor.state;
  if (phase !== 'receiving' && phase !== 'prepared') return [];
  const isPeerGone = world.lostHost === 'source' && !world.isBack;
  const isWhole = phase === 'prepared' && (!rules.isMemoryChecked || world.scannedEpoch === epoch);
  const takesOver = (kind: Transition['kind']): Transition =>
    deliver('operator takes over', world, rules, actor, { type: 'operator-takeover' }, kind);
  if (!isPeerGone) return isWhole && !rules.isSourceFenced ? [takesOver('chance')] : [];
  if (isWhole) return [takesOver('fair')];
  const givesUp = deliver('operator gives up', world, rules, actor, { type: 'operator-abort' }, 'fair');
  return phase === 'receiving' ? [givesUp, takesOver('chance')] : [givesUp];
}

function setbacks(world: World, rules: Rules, actor: DestinationActor): Transition[] {
  return [
    deliver('fails', world, rules, actor, { type: 'failed', reason: '' }, 'fault'),
    deliver('operator aborts', world, rules, actor, { type: 'operator-abort' }, 'fault'),
    ...probe(world, rules, actor),
  ];
}

/** A peer's fault changes nothing and is answered by `error`, as by the daemon. */
function receive(
  world: World,
  rules: Rules,
  actor: DestinationActor,
  arrival: ToDestination,
  kind: 'fair' | 'chance',
): Transition[] {
  const label = `receives ${arrival.message.type}(${arrival.epoch})`;
  try {
    return take(label, world, rules, actor, arrival, kind);
  } catch (error) {
    if (!(error instanceof HandoverError) || !error.isPeerFault) throw error;
    const answer = { epoch: actor.state.epoch, message: { type: 'error' } } as const;
    const toSource = world.isLinkUp && kind === 'fair' ? [...world.toSource, answer] : world.toSource;
    return [transition(`${label}, refused`, kind, { ...world, toSource })];
  }
}

function take(
  label: string,
  world: World,
  rules: Rules,
  actor: DestinationActor,
  { epoch, message }: ToDestination,
  kind: 'fair' | 'chance',
): Transition[] {
  if (message.type === 'hello') return [transition(label, kind, hello(world, rules, actor, epoch, message))];
  if (message.type !== 'handover') {
    return [deliver(label, world, rules, actor, { type: 'message', epoch, message }, kind)];
  }
  const event: DestinationEvent = { type: 'handover-verified', epoch, runState: message.runState };
  const isDue = actor.state.phase === 'receiving' && actor.state.epoch === epoch;
  const isEngineWriting = world.isEngineWriting && !(isDue && rules.isEngineEndedByHandover);
  const verified = { ...world, isEngineWriting, verifiedEpoch: isDue ? epoch : world.verifiedEpoch };
  const matching = deliver(label, verified, rules, actor, event, kind);
  if (!isDue) return [matching];
  if (!rules.areRootsChecked)
    return [matching, deliver(`${label} unchecked`, world, rules, actor, event, 'fault')];
  const failed: DestinationEvent = { type: 'failed', reason: '' };
  return [matching, deliver(`${label}, roots differ`, world, rules, actor, failed, 'fault')];
}

/** What epochs.ts says; a newer epoch is delivered again when what was prepared for the older one is dead. */
function hello(world: World, rules: Rules, actor: DestinationActor, epoch: number, message: Hello): World {
  const { state } = actor;
  const { purpose, abortedEpoch } = message;
  const judgement = judgeHello(state, { epoch, abortedEpoch });
  if (judgement === 'older' && !rules.isOlderEpochAnswered) return world;
  if (judgement === 'older') return answer(world, epoch, { type: 'aborted', reason: '' });
  if (judgement === 'same') {
    if (purpose === 'resume') return answer(world, epoch, { type: 'error' });
    if (state.phase === 'receiving') return world;
    const asked: DestinationEvent = { type: 'message', epoch, message: { type: 'query' } };
    return { ...world, destination: destinationActor(rules.destinationStep(state, asked)) };
  }
  const destination = destinationActor(
    rules.destinationStep(state, { type: 'newer-epoch', epoch, abortedEpoch }),
  );
  if (destination.state.epoch === epoch) {
    const isOrphanWriting = world.isOrphanWriting || (world.isEngineWriting && !rules.isOlderEngineEnded);
    return { ...world, destination, isOrphanWriting, isEngineWriting: purpose === 'resume' };
  }
  if (state.phase === 'destroying') return answer({ ...world, destination }, epoch, { type: 'error' });
  return { ...world, destination, toDestination: [{ epoch, message }, ...world.toDestination] };
}

function answer(world: World, epoch: number, message: ToSource['message']): World {
  return world.isLinkUp ? { ...world, toSource: [...world.toSource, { epoch, message }] } : world;
}

/** A hello for a newer epoch out of the blue, true to the source's journal: it must not end what may be committed. */
function probe(world: World, rules: Rules, actor: DestinationActor): Transition[] {
  const { sourceRecord: record } = world;
  const isOver = record.phase === 'rolled-back';
  if (isOver || actor.state.epoch !== record.epoch) return [];
  const { abortedEpoch } = record;
  const event: DestinationEvent = { type: 'newer-epoch', epoch: record.epoch + 1, abortedEpoch };
  try {
    return [deliver('newer epoch out of the blue', world, rules, actor, event, 'fault')];
  } catch (error) {
    if (!(error instanceof HandoverError) || !error.isPeerFault) throw error;
    return [];
  }
}

function guestDeath(world: World): Transition[] {
  const isAlive = world.destinationGuest === 'running' || world.destinationGuest === 'stopped';
  if (!isAlive || world.budget.failures === 0) return [];
  return [transition("destination's guest dies", 'fault', { ...world, destinationGuest: 'dead' })];
}

function deliver(
  label: string,
  world: World,
  rules: Rules,
  actor: DestinationActor,
  event: DestinationEvent,
  kind: Transition['kind'],
): Transition {
  const destination = destinationActor(rules.destinationStep(actor.state, event));
  return transition(label, kind, { ...world, destination });
}

function transition(label: string, kind: Transition['kind'], world: World): Transition {
  const { budget } = world;
  const after = kind === 'fault' ? { ...world, budget: { ...budget, failures: budget.failures - 1 } } : world;
  return { label: `destination: ${label}`, kind, world: after };
}

function ok(label: string, world: World, event: DestinationEvent | null): Outcome {
  return { label, isFault: false, world, event };
}

function fault(label: string, world: World, event: DestinationEvent): Outcome {
  return { label, isFault: true, world, event };
}
