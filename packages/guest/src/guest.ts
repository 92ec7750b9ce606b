// What the daemons know of a guest, whatever kind it is: two interfaces, one for each side of a migration.
// Invariant: everything that is needed to find the guest again is in its identity, so that a daemon (or the guard) that
// starts with nothing but the journal can go on. Neither interface decides who may run: that is the handover's.

/** A guest runs or is paused; a guest that has ended is an error, not a state. */
export type RunState = 'running' | 'paused';

/** A process for as long as its host is up: a recycled pid has another start time, another boot another id. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTime: number;
  /** /proc/sys/kernel/random/boot_id. */
  readonly bootId: string;
}

/** The source's guest, as JSON for the journal. */
export type GuestIdentity = { readonly type: 'none' } | ({ readonly type: 'process' } & ProcessIdentity);

/** The destination's guest, as JSON for the journal. Fits where a `GuestIdentity` is expected. */
export type IncomingGuestIdentity =
  | { readonly type: 'none' }
  | ({
      readonly type: 'process';
      /** Tells, without a child handle, whether the command was ever executed (launch-record.ts). */
      readonly recordPath: string;
      /** Output of the command. */
      readonly logPath: string;
    } & ProcessIdentity);

/** The guest's state outside its RAM, saved while it is paused. `format` names the writer, such as `qemu`. */
export interface DeviceState {
  readonly format: string;
  readonly bytes: Uint8Array;
}

/** What POST /migrate says about the guest. */
export type GuestSpec = { readonly type: 'none' } | { readonly type: 'process'; readonly pid: number };

/** What POST /incoming says about the guest; `command` names an entry of the daemon's configuration. */
export type IncomingGuestSpec =
  { readonly type: 'none' } | { readonly type: 'process'; readonly command: string };

/** The guest that leaves. All methods throw `GuestError`. */
export interface Guest {
  readonly type: GuestIdentity['type'];
  /** For the journal; `guestFromIdentity` makes the same guest of it. */
  identity(): GuestIdentity;
  /** Why this guest cannot be migrated, in words; empty when it can. */
  preflight(): Promise<readonly string[]>;
  /** The state now. The caller keeps the one from before `pause`: what was paused before must stay so. */
  runState(): Promise<RunState>;
  /** Resolves only when the guest is proven stopped. After a failure the caller must `resume`, if the guest was running. */
  pause(): Promise<void>;
  /** Lets the guest run, whatever its state: idempotent. */
  resume(): Promise<void>;
  /** Only while paused. `null`: this kind of guest has none. */
  saveDeviceState(): Promise<DeviceState | null>;
}

/**
 * What became of an order to resume at the destination. `refused` is proven: not one instruction of the guest was
 * executed, so the source may run it again. Whatever is not proven counts as `running`; `note` then says what is odd,
 * for example that the guest has ended already.
 */
export type ResumeOutcome =
  | { readonly outcome: 'running'; readonly note: string | null }
  | { readonly outcome: 'refused'; readonly reason: string };

/** The guest that arrives. All methods throw `GuestError`. */
export interface IncomingGuest {
  readonly type: IncomingGuestIdentity['type'];
  /** Why `prepare` would fail, in words; empty when nothing is known against it. */
  preflight(): Promise<readonly string[]>;
  /** Makes the guest exist, stopped, with its device state loaded. The identity is for the journal. */
  prepare(state: DeviceState | null): Promise<IncomingGuestIdentity>;
  /** Lets the prepared guest run, and proves what came of it. Idempotent, also after a restart of the daemon. */
  resume(): Promise<ResumeOutcome>;
  /** Makes sure that the guest is dead. Idempotent; `resume` answers `refused` after it, if it did not run before. */
  destroy(): Promise<void>;
}

/** Time, as far as guests need it; tests pass their own. */
export interface Clock {
  /** Milliseconds, monotonic. */
  now(): number;
  wait(milliseconds: number): Promise<void>;
}
