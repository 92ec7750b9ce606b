// What can happen at the source's side: the daemon's next effect or event, and the same for a guard that acts.
import type { SourceEffect } from '../../src/effects.ts';
import type { SourceEvent } from '../../src/source-states.ts';
import { mayStartEpoch } from '../../src/epochs.ts';
import { HandoverError } from '../../src/errors.ts';
import { sendNow, withoutLink } from './link.ts';
import { sourceActor, type Rules } from './rules.ts';
import type { SourceActor, ToSource, Transition, World } from './world.ts';

/** One way an effect can go: the world after it, and the event that answers it. */
interface Outcome {
  readonly label: string;
  readonly isFault: boolean;
  readonly world: World;
  readonly event: SourceEvent | null;
}

type Who = 'source' | 'guardian';

export function sourceTransitions(world: World, rules: Rules): Transition[] {
  const found = ['source', 'guardian'] as const;
  return found.flatMap((who) => {
    const actor = world[who];
    if (actor === null) return [];
    if (actor.queue.length > 0) return nextEffect(world, rules, who, actor);
    return who === 'source' ? idleSource(world, rules, actor) : idleGuardian(world, rules, actor);
  });
}

/** An effect and the step that its outcome leads to are one transition: a crash between them loses the same memory. */
function nextEffect(world: World, rules: Rules, who: Who, actor: SourceActor): Transition[] {
  const [effect, ...queue] = actor.queue;
  if (effect === undefined) return [];
  return perform(world, who, effect).flatMap(({ label, isFault, world: after, event }) => {
    if (isFault && world.budget.failures === 0) return [];
    const next =
      event === null ? { state: actor.state, queue } : sourceActor(rules.sourceStep(actor.state, event));
    return [transition(`${who}: ${label}`, isFault ? 'fault' : 'fair', sendNow({ ...after, [who]: next }))];
  });
}

function perform(world: World, who: Who, effect: SourceEffect): Outcome[] {
  switch (effect.type) {
    case 'journal': {
      const label = `journal ${effect.record.phase}`;
      const after = { ...world, sourceRecord: effect.record };
      const failed: SourceEvent = { type: 'journal-failed', reason: '' };
      return [
        ok(label, after, effect.sync ? { type: 'journaled' } : null),
        fault(`${label} fails, nothing written`, world, failed),
        fault(`${label} fails, but is written`, after, failed),
      ];
    }
    case 'arm-guard':
      if (world.guard === 'dead') return [ok('no guard', world, { type: 'guard-failed', reason: '' })];
      return [ok('arm guard', { ...world, guard: 'armed' }, null)];
    case 'release-guard':
      if (who === 'guardian' || world.guard === 'dead') return [ok('no guard to release', world, null)];
      return [ok('release guard', { ...world, guard: 'idle' }, null)];
    case 'pause-guest':
      if (world.sourceGuest === 'lost') return [ok('no guest', world, { type: 'pause-failed', reason: '' })];
      return [
        ok('pause guest', { ...world, sourceGuest: 'paused' }, { type: 'guest-paused' }),
        fault('pause fails', world, { type: 'pause-failed', reason: '' }),
      ];
    case 'resume-guest':
      if (world.sourceGuest === 'lost') return [ok('no guest', world, { type: 'guest-gone', reason: '' })];
      return [
        ok('resume guest', { ...world, sourceGuest: 'running', scannedEpoch: 0 }, { type: 'guest-resumed' }),
        fault('resume fails', world, { type: 'resume-failed', reason: '' }),
      ];
    case 'send': {
      if (who === 'guardian' || !world.isLinkUp) return [ok(`drop ${effect.message.type}`, world, null)];
      const { epoch, message } = effect;
      const toDestination = [...world.toDestination, { epoch, message }];
      return [ok(`send ${message.type}(${epoch})`, { ...world, toDestination }, null)];
    }
    case 'end-engine':
    case 'report':
      return [ok(effect.type, world, null)];
  }
}

function idleSource(world: World, rules: Rules, actor: SourceActor): Transition[] {
  return [
    ...linkNews(world, rules, actor),
    ...arrivals(world, rules, actor),
    ...phases(world, rules, actor),
    ...retries(world, rules, actor),
    ...newEpoch(world, rules, actor),
    ...operator(world, rules, actor),
    ...setbacks(world, rules, actor),
  ];
}

/** What docs/operations.md says where the destination's host is gone for good. */
function operator(world: World, rules: Rules, actor: SourceActor): Transition[] {
  const isPeerGone = world.lostHost === 'destination' && !world.isBack;
  if (actor.state.phase !== 'committed' || !(isPeerGone || !rules.isDestinationFenced)) return [];
  const kind = isPeerGone ? 'fair' : 'chance';
  return deliver('operator takes over', world, rules, actor, { type: 'operator-takeover' }, kind);
}

function linkNews(world: World, rules: Rules, actor: SourceActor): Transition[] {
  if (!world.isLossNews) return [];
  const after = { ...world, isLossNews: false };
  return deliver('notices the loss', after, rules, actor, { type: 'link-lost', reason: '' });
}

function arrivals(world: World, rules: Rules, actor: SourceActor): Transition[] {
  const [next, ...toSource] = world.toSource;
  const onTime = next ? receive({ ...world, toSource }, rules, actor, next, 'fair') : [];
  const stale = world.staleToSource;
  const late = stale ? receive({ ...world, staleToSource: null }, rules, actor, stale, 'chance') : [];
  return [...onTime, ...late];
}

function receive(
  world: World,
  rules: Rules,
  actor: SourceActor,
  { epoch, message }: ToSource,
  kind: 'fair' | 'chance',
): Transition[] {
  const label = `receives ${message.type}(${epoch})`;
  const failed: SourceEvent = { type: 'failed', reason: '' };
  if (message.type === 'error') return deliver(label, world, rules, actor, failed, kind);
  try {
    return deliver(label, world, rules, actor, { type: 'message', epoch, message }, kind);
  } catch (error) {
    // A destination that keeps to the rules never says what cannot be, unless its operator was mistaken.
    if (rules.isSourceFenced || !(error instanceof HandoverError) || !error.isPeerFault) throw error;
    return deliver(`${label}, refused`, world, rules, actor, failed, kind);
  }
}

/** What the daemon's phase list does. */
function phases(world: World, rules: Rules, actor: SourceActor): Transition[] {
  const { phase, epoch } = actor.state;
  const begin: SourceEvent = { type: 'begin-switchover', priorRunState: world.prior };
  if (phase === 'precopy' && world.isLinkUp) {
    const pulsing = { ...world, mayPulse: false, isPulse: true };
    return [
      ...deliver('begins switchover', { ...world, isPulse: false }, rules, actor, begin),
      ...(world.mayPulse ? deliver('begins a pulse', pulsing, rules, actor, begin, 'chance') : []),
    ];
  }
  if (phase === 'precopy' && !world.isLossNews) {
    return deliver('does not go on', world, rules, actor, { type: 'failed', reason: '' });
  }
  if (phase === 'paused' && world.isPulse)
    return deliver('ends the pulse', world, rules, actor, { type: 'end-pulse' });
  if (phase === 'paused' && !world.isLossNews) {
    const after = { ...world, scannedEpoch: world.sourceGuest === 'paused' ? epoch : 0 };
    return deliver('final round', after, rules, actor, { type: 'final-round-done' });
  }
  if (world.guard === 'dead' && (phase === 'paused' || phase === 'going-on' || phase === 'offered')) {
    return deliver('guard lost', world, rules, actor, { type: 'failed', reason: '' });
  }
  return [];
}

/** The daemon's timer: after trouble, and while the peer owes an answer (a destination in trouble has its own). */
function retries(world: World, rules: Rules, actor: SourceActor): Transition[] {
  const { state } = actor;
  const peer = world.destination;
  const isQuiet =
    world.isLinkUp &&
    world.toDestination.length + world.toSource.length === 0 &&
    peer?.queue.length === 0 &&
    peer.state.phase !== 'starting' &&
    peer.state.phase !== 'destroying';
  const isDue =
    state.phase === 'going-on' ||
    state.phase === 'resuming' ||
    state.phase === 'revoking' ||
    (state.phase === 'committed' && isQuiet);
  if (isDue) return deliver('retries', world, rules, actor, { type: 'retry' });
  // Who says that the guest runs there says it again to every question.
  if (!isQuiet || peer.state.phase === 'running') return [];
  if (state.phase !== 'rolled-back' || state.isPeerInformed) return [];
  return withoutLink(world).map((after) => ({ label: 'source: connects again', kind: 'fair', world: after }));
}

/** The daemon goes on after a cut or a restart, or after a failure that is worth it: one more epoch. */
function newEpoch(world: World, rules: Rules, actor: SourceActor): Transition[] {
  const { phase, epoch } = actor.state;
  if (!mayStartEpoch(actor.state) || epoch >= world.epochMax || world.isLossNews) return [];
  // A link that lives with its epoch is in use.
  if (phase === 'precopy' && world.isLinkUp) return [];
  const event: SourceEvent = { type: 'epoch-started', epoch: epoch + 1 };
  return withoutLink({ ...world, guard: 'idle', isEpochFresh: true }).flatMap((after) =>
    deliver(`starts epoch ${epoch + 1}`, after, rules, actor, event, 'chance'),
  );
}

function setbacks(world: World, rules: Rules, actor: SourceActor): Transition[] {
  return [
    ...deliver('fails', world, rules, actor, { type: 'failed', reason: '' }, 'fault'),
    ...deliver('is cancelled', world, rules, actor, { type: 'cancel' }, 'fault'),
    ...(actor.state.phase === 'committed'
      ? deliver('repeats commit', world, rules, actor, { type: 'retry' }, 'fault')
      : []),
  ];
}

/** A guard's recovery is one pass; a guest that did not resume is tried again. */
function idleGuardian(world: World, rules: Rules, actor: SourceActor): Transition[] {
  if (actor.state.phase !== 'resuming') {
    return [{ label: 'guardian: ends', kind: 'fair', world: { ...world, guardian: null } }];
  }
  const guardian = sourceActor(rules.sourceStep(actor.state, { type: 'retry' }));
  return [{ label: 'guardian: retries', kind: 'fair', world: { ...world, guardian } }];
}

function deliver(
  label: string,
  world: World,
  rules: Rules,
  actor: SourceActor,
  event: SourceEvent,
  kind: Transition['kind'] = 'fair',
): Transition[] {
  if (kind === 'fault' && world.budget.failures === 0) return [];
  const source = sourceActor(rules.sourceStep(actor.state, event));
  return [transition(`source: ${label}`, kind, { ...world, source })];
}

function transition(label: string, kind: Transition['kind'], world: World): Transition {
  const { budget } = world;
  const after = kind === 'fault' ? { ...world, budget: { ...budget, failures: budget.failures - 1 } } : world;
  return { label, kind, world: after };
}

function ok(label: string, world: World, event: SourceEvent | null): Outcome {
  return { label, isFault: false, world, event };
}

function fault(label: string, world: World, event: SourceEvent): Outcome {
  return { label, isFault: true, world, event };
}
