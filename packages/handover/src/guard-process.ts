// The guard's own process: resumes the guest when the daemon that paused it dies before the commit.
// It knows nothing but the journal: at end of input while armed it takes the journal's lock (the dead daemon's is gone),
// runs the same recovery as a restarted daemon, and exits. A daemon that was restarted first holds the lock; then the
// guard waits until the journal says that this handover is settled, so that it is there if that daemon dies as well.
//
// Lines in: `arm`, `release`. Lines out: `armed`, `released`. Nothing else is on the pipe.
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { HandoverError } from './errors.ts';
import { Journal, peekSourceJournal, type Entry, type TryLock } from './journal.ts';
import type { GuestIdentity, ProcessIdentity, SourceRecord } from './journal-record.ts';
import { reasonOf } from './messages.ts';
import { recoverSource } from './recovery.ts';
import { sourceExecutor, type SourcePorts } from './source-executor.ts';

/** Between two attempts to take the lock or to resume. */
const RETRY_MS = 100;

/** While armed these do not end the guard: whoever ends the daemon often signals its whole group. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export interface GuardOptions {
  /** The daemon's end: its death is the end of input. */
  readonly input: Readable;
  readonly output: Writable;
  /** Where the signals arrive: `process`. */
  readonly signals: { on(signal: NodeJS.Signals, listener: () => void): unknown };
  /** source.journal of the daemon's state directory. */
  readonly journalPath: string;
  readonly tryLock: TryLock;
  /** Resumes the guest that the journal names; idempotent. */
  readonly resumeGuest: (guest: GuestIdentity) => Promise<'resumed' | 'gone'>;
  /** Makes sure that the engine that the journal names is gone. */
  readonly endEngine: (engine: ProcessIdentity | null) => Promise<void>;
  readonly wait: (milliseconds: number) => Promise<void>;
  /** For the operator; the daemon's log is gone with it. */
  readonly log: (line: string) => void;
}

/**
 * Why the guard ended: it was not armed (daemon's end or signal); it recovered; somebody else had; there was nothing to
 * recover (committed, or not paused yet).
 */
export type GuardOutcome = 'not-armed' | 'recovered' | 'settled';

/** Runs until the daemon ends. @throws {HandoverError} `journal-unreadable`: nobody can tell who owns the guest. */
export async function runGuard(options: GuardOptions): Promise<GuardOutcome> {
  return (await watch(options)) ? recover(options) : 'not-armed';
}

/** @returns whether the guard was armed when the input ended. */
async function watch({ input, output, signals }: GuardOptions): Promise<boolean> {
  let isArmed = false;
  const lines = createInterface({ input });
  // A dead daemon cannot read the answer; the end of input tells us so.
  output.on('error', () => undefined);
  for (const signal of SIGNALS) {
    signals.on(signal, () => {
      if (!isArmed) lines.close();
    });
  }
  lines.on('line', (line) => {
    if (line !== 'arm' && line !== 'release') throw new TypeError(`the guard does not know ${line}`);
    isArmed = line === 'arm';
    output.write(isArmed ? 'armed\n' : 'released\n');
  });
  await new Promise((resolve) => lines.once('close', resolve));
  return isArmed;
}

async function recover(options: GuardOptions): Promise<GuardOutcome> {
  let watched: string | null = null;
  for (;;) {
    try {
      const entry = peekSourceJournal(options.journalPath);
      watched ??= handoverOf(entry);
      if (isSettled(entry) || handoverOf(entry) !== watched) return 'settled';
      const outcome = await recoverOnce(options, watched);
      if (outcome !== null) return outcome;
    } catch (error) {
      const fault = error instanceof HandoverError ? error.fault.code : null;
      if (fault === 'journal-unreadable') throw error;
      if (fault !== 'journal-locked') options.log(`guard: ${reasonOf(error)}; trying again`);
    }
    await options.wait(RETRY_MS);
  }
}

/** One attempt under the lock; what was read before it may be old. @returns null if the guest did not resume. */
async function recoverOnce(options: GuardOptions, watched: string): Promise<GuardOutcome | null> {
  const journal = Journal.source({ path: options.journalPath, tryLock: options.tryLock });
  try {
    const entry = journal.newest;
    if (entry === null || isSettled(entry) || handoverOf(entry) !== watched) return 'settled';
    const first = recoverSource(entry.handover);
    const handover = sourceExecutor(first, guardPorts(options, journal, entry));
    const state = await handover.begin(first.effects);
    return state.phase === 'rolled-back' ? 'recovered' : null;
  } finally {
    journal.close();
  }
}

/** The daemon's ports without link and guard: what is owed to the peer is in the journal, for the next daemon. */
function guardPorts(
  options: GuardOptions,
  journal: Journal<SourceRecord>,
  { session }: Entry<SourceRecord>,
): SourcePorts {
  return {
    journal,
    guard: {
      arm: () => Promise.reject(new TypeError('a guard is not guarded')),
      release: () => Promise.resolve(),
    },
    guest: {
      pause: () => Promise.reject(new TypeError('a guard does not pause')),
      resume: () => options.resumeGuest(session.guest),
    },
    endEngine: () => options.endEngine(session.engine),
    send: () => undefined,
    report: (report) => {
      const words = report.outcome === 'rolled-back' ? report.cause.reason : JSON.stringify(report);
      options.log(`guard: ${report.outcome}: ${words}`);
    },
  };
}

/** Only these leave a guest that we paused without anybody who may resume it but us. */
function isSettled(entry: Entry<SourceRecord> | null): boolean {
  return entry?.handover.phase !== 'pausing' && entry?.handover.phase !== 'reclaimed';
}

function handoverOf(entry: Entry<SourceRecord> | null): string {
  return entry === null ? 'none' : `${entry.session.sessionId} ${entry.handover.epoch}`;
}
