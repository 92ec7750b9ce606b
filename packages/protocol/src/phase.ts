/**
 * The phases of a migration at either side, and QMP's word for each.
 * Invariant: every phase has exactly one word of QMP's, so that the two never contradict each other; what is finer than those
 * words is told by the phase alone.
 */
import { z } from 'zod';

/** QMP's MigrationStatus, as far as it applies. */
export const statusWord = z.enum([
  'none',
  'setup',
  'active',
  'pre-switchover',
  'device',
  'completed',
  'failed',
  'cancelling',
  'cancelled',
]);
export type StatusWord = z.output<typeof statusWord>;

/** Every phase of either side. */
export const phase = z.enum([
  'idle',
  /** Destination: armed, no source yet. */
  'armed',
  /** Source: from the request to the answer to hello. */
  'connecting',
  /** Engine, data connections, guard. */
  'setup',
  'bulk',
  'rounds',
  /** Destination: pages arrive. */
  'receiving',
  /** Before the commit: an attempt has ended, the guest runs at the source, another attempt follows. */
  'interrupted',
  'pausing',
  'pre-switchover',
  /** Source: the paused guest's device state is being saved. */
  'device-state',
  'final-round',
  'handover',
  /** Destination: the roots were right, the guest is being made ready. */
  'preparing',
  /** Destination: `ready` was sent; only commit or abort end it. */
  'prepared',
  /** Destination, prepared: the source is not connected. */
  'awaiting-source',
  /** Source: past the point of no return, waits for `running`. */
  'committed',
  /** Source, committed: the link is down, it connects and asks again. */
  'reconnecting',
  /** Destination: the order to run the guest was given. */
  'starting',
  'cancelling',
  /** Something failed; the guest is being given back, what was started is being ended. */
  'aborting',
  'completed',
  'failed',
  'cancelled',
]);
export type Phase = z.output<typeof phase>;

/** QMP's word for each phase. */
export const phaseStatus: Readonly<Record<Phase, StatusWord>> = {
  idle: 'none',
  armed: 'setup',
  connecting: 'setup',
  setup: 'setup',
  bulk: 'active',
  rounds: 'active',
  receiving: 'active',
  interrupted: 'active',
  pausing: 'active',
  'pre-switchover': 'pre-switchover',
  'device-state': 'device',
  'final-round': 'device',
  handover: 'device',
  preparing: 'device',
  prepared: 'device',
  'awaiting-source': 'device',
  committed: 'device',
  reconnecting: 'device',
  starting: 'device',
  cancelling: 'cancelling',
  aborting: 'device',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
};

/** Whether the guest is paused in a phase, in the course of the migration; false where it may be either. */
export const isGuestPaused: Readonly<Record<Phase, boolean>> = {
  idle: false,
  armed: false,
  connecting: false,
  setup: false,
  bulk: false,
  rounds: false,
  receiving: false,
  interrupted: false,
  pausing: true,
  'pre-switchover': true,
  'device-state': true,
  'final-round': true,
  handover: true,
  preparing: true,
  prepared: true,
  'awaiting-source': true,
  committed: true,
  reconnecting: true,
  starting: true,
  cancelling: false,
  aborting: false,
  completed: false,
  failed: false,
  cancelled: false,
};
