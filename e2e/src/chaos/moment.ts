/**
 * When a fault strikes: a message at the proxy, by its name, round and what went before it, so that phases that last
 * microseconds are hit as surely as long ones. Drawn by the seed.
 */
import type { MessageName, Place } from '../hold.ts';
import type { Choices } from './choices.ts';
import { FAULT_PHASES, spoilOf, type ChaosPhase, type FaultName } from './fault.ts';

/** The operator's place: the guest is paused, and nothing is on the wire. */
export const PRE_SWITCHOVER = 'pre-switchover';

export interface Moment {
  readonly phase: ChaosPhase;
  readonly place: Place | typeof PRE_SWITCHOVER;
  /** Whether the message is held while the fault strikes, or goes on before. */
  readonly isHeld: boolean;
  /** Time between the message and the fault. */
  readonly strikeAfterMs: number;
  /** Time between the fault and the message's going on, where it is held. */
  readonly releaseAfterMs: number;
}

/** What a moment has to fit to. */
export interface Shape {
  /** Rounds after the bulk stage; the final round is the next one. */
  readonly rounds: number;
  /** What the bulk stage is about to send. */
  readonly bulkBytes: number;
}

/** Faults on files are done in calm: what they then lead to is known. */
const HELD_FAULTS: ReadonlySet<FaultName> = new Set([
  'destination-image-truncated',
  'source-image-truncated',
]);

/** Undefined for the fault that is none. */
export function drawMoment(random: Choices, fault: FaultName, shape: Shape): Moment | undefined {
  const phases: readonly ChaosPhase[] = FAULT_PHASES[fault];
  if (phases.length === 0) return undefined;
  const phase = random.of(phases);
  const spoil = spoilOf(fault);
  const place = placeIn(random, phase, spoil?.carrier, shape);
  // A spoilt frame is the held one itself. What follows the last round's answer is the pause.
  const isHeld = spoil !== undefined || HELD_FAULTS.has(fault) || (phase !== 'pausing' && !random.isOneOf(3));
  return {
    phase,
    place,
    isHeld,
    strikeAfterMs: random.of([0, 0, 1, 2, 5, 20]),
    releaseAfterMs: random.of([0, 0, 10, 300]),
  };
}

function placeIn(
  random: Choices,
  phase: ChaosPhase,
  carrier: 'pages' | 'control' | undefined,
  { rounds, bulkBytes }: Shape,
): Moment['place'] {
  const round = random.between(1, rounds);
  const afterBytes = Math.floor(random.share() * 0.95 * bulkBytes);
  switch (phase) {
    case 'hello':
      return { name: random.of(['hello', 'welcome']) };
    case 'setup':
      return { name: random.of(['data-hello', 'data-accept']) };
    case 'bulk':
      return carrier === 'pages' || (carrier === undefined && !random.isOneOf(4))
        ? { name: 'pages', afterBytes }
        : placeOfRound(random, 0, carrier);
    case 'round':
      return placeOfRound(random, round, carrier);
    case 'pausing':
      return { name: 'round-result', round: rounds };
    case 'pre-switchover':
      return PRE_SWITCHOVER;
    case 'final':
      return {
        name: carrier === 'pages' ? 'pages' : random.of(['pages', 'stream-round-end']),
        round: rounds + 1,
      };
    case 'handover':
    case 'ready':
    case 'commit':
    case 'running':
      return { name: phase };
  }
}

function placeOfRound(random: Choices, round: number, carrier: 'pages' | 'control' | undefined): Place {
  const control: readonly MessageName[] = ['round-end', 'round-result'];
  const data: readonly MessageName[] = ['pages', 'stream-round-end'];
  if (carrier === 'pages') return { name: 'pages', round };
  return { name: random.of(carrier === 'control' ? control : [...data, ...control]), round };
}
