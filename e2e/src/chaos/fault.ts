/** What can go wrong in a run, and in which phases of the migration it can. */
import type { Spoil } from '../spoil.ts';

/** Phases as the proxy and the status show them; the columns of the table, in their order. */
export const PHASES = [
  'hello',
  'setup',
  'bulk',
  'round',
  'pausing',
  'pre-switchover',
  'final',
  'handover',
  'ready',
  'commit',
  'running',
] as const;
export type ChaosPhase = (typeof PHASES)[number];

const AT_PAGES = ['bulk', 'round', 'final'] as const;
const AT_CONTROL = ['hello', 'bulk', 'round', 'handover', 'ready', 'commit', 'running'] as const;
const WITH_ENGINES = ['setup', 'bulk', 'round', 'pausing', 'pre-switchover', 'final', 'handover'] as const;
const AFTER_SETUP = PHASES.slice(2);

/** Every fault and its phases; `none` has none, and is a run that nothing befalls. */
export const FAULT_PHASES = {
  none: [],
  'kill-source-daemon': PHASES,
  'kill-destination-daemon': PHASES,
  'stop-source-daemon': PHASES,
  'stop-destination-daemon': PHASES,
  'kill-source-engine': [...WITH_ENGINES, 'ready', 'commit'],
  'kill-destination-engine': WITH_ENGINES,
  'kill-guard': PHASES,
  'cut-all': PHASES,
  'cut-one-stream': AFTER_SETUP,
  'stall-short': PHASES,
  'stall-long': PHASES,
  delay: PHASES,
  'slow-reader': PHASES,
  'flip-page': AT_PAGES,
  'flip-page-header': AT_PAGES,
  'flip-message': AT_CONTROL,
  'flip-message-header': AT_CONTROL,
  'truncate-page': AT_PAGES,
  'truncate-message': AT_CONTROL,
  'destination-full': AFTER_SETUP,
  'source-image-truncated': PHASES,
  'source-image-replaced': PHASES,
  'destination-image-truncated': AFTER_SETUP,
  'operator-cancels': PHASES,
  'operator-aborts': PHASES,
  netem: PHASES,
} as const satisfies Readonly<Record<string, readonly ChaosPhase[]>>;

export type FaultName = keyof typeof FAULT_PHASES;

/** By name, in the order of the table. */
export const ALL_FAULTS = Object.keys(FAULT_PHASES).filter((name): name is FaultName => name in FAULT_PHASES);

/** What is drawn from unless somebody asks for more: `netem` disturbs whatever else talks on this machine's loopback. */
export const FAULTS = ALL_FAULTS.filter((name) => name !== 'netem');

/** What may follow the first fault: whatever needs no certain moment. */
export const SECOND_FAULTS = [
  'kill-source-daemon',
  'kill-destination-daemon',
  'stop-source-daemon',
  'stop-destination-daemon',
  'kill-source-engine',
  'kill-destination-engine',
  'kill-guard',
  'cut-all',
  'cut-one-stream',
  'stall-short',
  'stall-long',
  'operator-cancels',
] as const satisfies readonly FaultName[];

/** The frames that a fault is done to; undefined for a fault that is done to something else. */
export function spoilOf(fault: FaultName): Pick<Spoil, 'carrier' | 'part' | 'deed'> | undefined {
  switch (fault) {
    case 'flip-page':
      return { carrier: 'pages', part: 'payload', deed: 'flip' };
    case 'flip-page-header':
      return { carrier: 'pages', part: 'header', deed: 'flip' };
    case 'flip-message':
      return { carrier: 'control', part: 'payload', deed: 'flip' };
    case 'flip-message-header':
      return { carrier: 'control', part: 'header', deed: 'flip' };
    case 'truncate-page':
      return { carrier: 'pages', part: 'payload', deed: 'truncate' };
    case 'truncate-message':
      return { carrier: 'control', part: 'payload', deed: 'truncate' };
    default:
      return undefined;
  }
}
