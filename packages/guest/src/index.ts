export { guestFromIdentity, guestFromSpec, incomingGuest, incomingGuestFromIdentity } from './create.ts';
export { GuestError } from './errors.ts';
export type { GuestFault } from './errors.ts';
export type {
  DeviceState,
  Guest,
  GuestIdentity,
  GuestSpec,
  IncomingGuest,
  IncomingGuestIdentity,
  IncomingGuestSpec,
  ProcessIdentity,
  ResumeOutcome,
  RunState,
} from './guest.ts';
export { parseGuestIdentity, parseIncomingGuestIdentity } from './identity.ts';
