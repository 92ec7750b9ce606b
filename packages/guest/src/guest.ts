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
export type GuestIdentity =
  | { readonly type: 'none' }
  | ({ readonly type: 'process' } & ProcessIdentity)
  /** `qmp`: resolved path of the monitor's UNIX socket; the process is the one that listens there. */
  | ({ readonly type: 'qemu'; readonly qmp: string } & ProcessIdentity);

/** The destination's guest, as JSON for the journal. Fits where a `GuestIdentity` is expected. */
export type IncomingGuestIdentity =
  | { readonly type: 'none' }
  | ({
      readonly type: 'process';
      /** Tells, without a child handle, whether the command was ever executed (launch-record.ts). */
      readonly recordPath: string;
      /** Output of the command. */
      readonly logPath: string;
    } & ProcessIdentity)
  | ({
      readonly type: 'qemu';
      readonly qmp: string;
      /** Started by the daemon's configured command, so that the daemon also ends it. */
      readonly isOurs: boolean;
    } & ProcessIdentity);

/** The guest's state outside its RAM, saved while it is paused. `format` names the writer, such as `qemu`. */
export interface DeviceState {
  readonly format: string;
  readonly bytes: Uint8Array;
}

/** What POST /migrate says about the guest. */
export type GuestSpec =
  | { readonly type: 'none' }
  | { readonly type: 'process'; readonly pid: number }
  | { readonly type: 'qemu'; readonly qmp: string };

/**
 * What POST /incoming says about the guest; `command` names an entry of the daemon's configuration. A QEMU without
 * one is the operator's, started with `-incoming defer`.
 */
export type IncomingGuestSpec =
  | { readonly type: 'none' }
  | { readonly type: 'process'; readonly command: string }
  | { readonly type: 'qemu'; readonly qmp: string; readonly command?: string | undefined };

/** A block of guest RAM on a shared file, as the guest itself names it. */
export interface GuestBlock {
  readonly id: string;
  /** Resolved. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** A block as a request names it; its path may lead over links. */
export interface RequestedBlock {
  readonly id: string;
  readonly path: string;
}

/** The guest that leaves. All methods throw `GuestError`. */
export interface Guest {
  readonly type: GuestIdentity['type'];
  /** For the journal; `guestFromIdentity` makes the same guest of it. */
  identity(): GuestIdentity;
  /**
   * Why this guest cannot be migrated, in words (QMP's blocked-reasons); empty when it can. `requested`: the blocks of
   * the request, `null` when they are to be read from the guest.
   */
  preflight(requested: readonly RequestedBlock[] | null): Promise<readonly string[]>;
  /** What must be the same at the destination, one fact a line, sorted. Empty where nothing is compared. */
  facts(): Promise<readonly string[]>;
  /** The blocks on shared files; `null` for a kind of guest that does not know its own. */
  blocks(): Promise<readonly GuestBlock[] | null>;
  /** How it may write to its memory, or lose what it wrote, without a soft-dirty bit being set: in words. */
  unseenWrites(): Promise<readonly string[]>;
  /** The state now. The caller keeps the one from before `pause`: what was paused before must stay so. */
  runState(): Promise<RunState>;
  /** Resolves only when the guest is proven stopped. After a failure the caller must `resume`, if the guest was running. */
  pause(): Promise<void>;
  /** Lets the guest run, whatever its state: idempotent. */
  resume(): Promise<void>;
  /** As `pause` and `resume`, for stops of milliseconds (throttling): neither proven nor announced to anybody. */
  hold(): Promise<void>;
  release(): Promise<void>;
  /** Only while paused. `null`: this kind of guest has none. Throws `device-state-too-large` beyond `limitBytes`. */
  saveDeviceState(limitBytes: number): Promise<DeviceState | null>;
  /** The guest runs at the destination for good. `quit` ends what is left of it here, `leave` leaves that paused. */
  leave(action: 'quit' | 'leave'): Promise<void>;
  /** Lets go of what the guest is controlled by; the next call takes it anew. */
  close(): Promise<void>;
}

/**
 * What became of an order to resume at the destination. `refused` is proven: not one instruction of the guest was
 * executed, so the source may run it again. Whatever is not proven counts as `running`; `note` then says what is odd,
 * for example that the guest has ended already.
 */
export type ResumeOutcome =
  | { readonly outcome: 'running'; readonly note: string | null }
  | { readonly outcome: 'refused'; readonly reason: string };

/** `isFirstOrder`: no order to run was given before, by whichever life of the daemon; a guest that is gone never ran. */
export interface ResumeOrder {
  readonly isFirstOrder: boolean;
}

/** The guest that arrives. All methods throw `GuestError`. */
export interface IncomingGuest {
  readonly type: IncomingGuestIdentity['type'];
  /** Why `prepare` would fail, in words; empty when nothing is known against it. */
  preflight(): Promise<readonly string[]>;
  /**
   * Makes what must be there before pages come (a QEMU that waits for its state). The identity of what exists now,
   * `null` if nothing does yet. Idempotent. `launched` is told of a command right after it was started, which may be minutes
   * before its guest answers; what it throws ends the command.
   */
  open(launched?: (command: ProcessIdentity) => void): Promise<IncomingGuestIdentity | null>;
  /** What must be the same at the source, as `Guest.facts`; after `open`. */
  facts(): Promise<readonly string[]>;
  /** As `Guest.blocks`; after `open`. */
  blocks(): Promise<readonly GuestBlock[] | null>;
  /** Makes the guest exist, stopped, with its device state loaded. The identity is for the journal. */
  prepare(state: DeviceState | null): Promise<IncomingGuestIdentity>;
  /** Lets the prepared guest run, and proves what came of it. Idempotent, also after a restart of the daemon. */
  resume(order: ResumeOrder): Promise<ResumeOutcome>;
  /** Makes sure that the guest is dead. Idempotent; `resume` answers `refused` after it, if it did not run before. */
  destroy(): Promise<void>;
  /** The attempt ended before anything was prepared: ends what `open` started, leaves alone what was there before. */
  close(): Promise<void>;
}

/** What the guests need of their host beyond Node. */
export interface GuestHost {
  /** The process at the other end of a connected UNIX socket (SO_PEERCRED). Throws where the system call fails. */
  peerPid(socketFd: number): number;
}

/** Time, as far as guests need it; tests pass their own. */
export interface Clock {
  /** Milliseconds, monotonic. */
  now(): number;
  wait(milliseconds: number): Promise<void>;
}
