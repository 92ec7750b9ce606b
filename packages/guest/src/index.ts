export {
  endLaunchedCommand,
  guestFromIdentity,
  guestFromSpec,
  incomingGuest,
  incomingGuestFromIdentity,
} from './create.ts';
export { GuestError } from './errors.ts';
export type { GuestFault } from './errors.ts';
export type {
  DeviceState,
  Guest,
  GuestBlock,
  GuestHost,
  GuestIdentity,
  GuestSpec,
  IncomingGuest,
  IncomingGuestIdentity,
  IncomingGuestSpec,
  ProcessIdentity,
  RequestedBlock,
  ResumeOrder,
  ResumeOutcome,
  RunState,
} from './guest.ts';
export { parseGuestIdentity, parseIncomingGuestIdentity } from './identity.ts';
export { resolveMonitorPath } from './monitor-path.ts';
export { Throttle } from './throttle.ts';
