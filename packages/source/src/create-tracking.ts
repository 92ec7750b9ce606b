/** The tracking that a request asks for. */
import type { Tracker, Warning } from '@pageferry/protocol';
import type { Logger } from 'pino';
import { Leases } from './leases.ts';
import { ScanTracking } from './scan-tracking.ts';
import { SoftDirtyTracking } from './soft-dirty-tracking.ts';
import type { Tracking } from './tracking.ts';

export interface TrackingOptions {
  readonly requested: Tracker;
  /** There is no guest that has the images open. */
  readonly isGuestless: boolean;
  readonly logger: Logger;
  readonly warn: (warning: Warning) => void;
  /** Where procfs is. */
  readonly proc?: string;
}

export function createTracking({ requested, isGuestless, ...rest }: TrackingOptions): Tracking {
  if (requested.type === 'soft-dirty') return new SoftDirtyTracking({ requested, ...rest });
  return new ScanTracking(isGuestless ? new Leases(rest.logger) : undefined);
}
