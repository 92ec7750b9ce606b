// No guest: nobody writes into the image, or the operator pauses the writer in pre-switchover.
// Nothing to pause, to resume or to prove; it reports `running`, so that the handover takes its usual way.
import { GuestError } from './errors.ts';
import type {
  DeviceState,
  Guest,
  GuestIdentity,
  IncomingGuest,
  IncomingGuestIdentity,
  ResumeOutcome,
  RunState,
} from './guest.ts';

/** The source's side of "no guest". */
export class NoGuest implements Guest {
  readonly type = 'none';

  identity(): GuestIdentity {
    return { type: 'none' };
  }

  preflight(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  facts(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  blocks(): Promise<null> {
    return Promise.resolve(null);
  }

  unseenWrites(): Promise<readonly string[]> {
    return Promise.resolve(['there was no guest to be stopped for the clear']);
  }

  runState(): Promise<RunState> {
    return Promise.resolve('running');
  }

  pause(): Promise<void> {
    return Promise.resolve();
  }

  resume(): Promise<void> {
    return Promise.resolve();
  }

  hold(): Promise<void> {
    return Promise.resolve();
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  saveDeviceState(): Promise<null> {
    return Promise.resolve(null);
  }

  leave(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The destination's side of "no guest". */
export class NoIncomingGuest implements IncomingGuest {
  readonly type = 'none';

  preflight(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  open(): Promise<null> {
    return Promise.resolve(null);
  }

  facts(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  blocks(): Promise<null> {
    return Promise.resolve(null);
  }

  prepare(state: DeviceState | null): Promise<IncomingGuestIdentity> {
    if (state !== null) return Promise.reject(new GuestError({ code: 'device-state-refused' }));
    return Promise.resolve({ type: 'none' });
  }

  resume(): Promise<ResumeOutcome> {
    return Promise.resolve({ outcome: 'running', note: null });
  }

  destroy(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
