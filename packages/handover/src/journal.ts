// A side's journal on disk: who owns the guest, as of the last step. One write a step; fdatasync where a step says so.
// Invariant: whoever may write holds the lock, so a daemon and a guard never both act. The page cache survives the
// death of a process, so a plain write is enough for everything but the point of no return and its revocation.
//
// The write is synchronous: a few microseconds into preallocated blocks, less than handing it to a thread.
import { closeSync, constants, fdatasync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { z } from 'zod';
import { HandoverError } from './errors.ts';
import {
  destinationEntry,
  sourceEntry,
  type DestinationRecord,
  type Session,
  type SourceRecord,
} from './journal-record.ts';
import { encodeSlot, JOURNAL_BYTES, newestSlot, SLOT_BYTES, SLOT_COUNT } from './journal-slots.ts';

const syncData = promisify(fdatasync);

/** The session's facts leave this much of a slot to the steps of the handover, which must never fail for size. */
export const SESSION_MAX_BYTES = 3584;

/** Takes an exclusive lock on the open file (flock), without waiting; false if another process holds it. */
export type TryLock = (fileDescriptor: number) => boolean;

/** What the executors write through. */
export interface JournalWriter<R> {
  /** Resolves when the record is in the file and, with `sync`, on the device. */
  write(record: R, options: { readonly sync: boolean }): Promise<void>;
}

/** A session and its last step. */
export interface Entry<R> {
  readonly version: 1;
  readonly session: Session;
  readonly handover: R;
}

export interface JournalOptions {
  /** `source.journal` or `destination.journal` in the state directory, which must exist. */
  readonly path: string;
  readonly tryLock: TryLock;
}

/** An open, locked journal. Closing it, or the process's death, gives up the lock. */
export class Journal<R> implements JournalWriter<R> {
  readonly #path: string;
  readonly #file: number;
  #sequence: number;
  #newest: Entry<R> | null;
  #session: Session | null;

  private constructor(path: string, file: number, sequence: number, newest: Entry<R> | null) {
    this.#path = path;
    this.#file = file;
    this.#sequence = sequence;
    this.#newest = newest;
    this.#session = newest?.session ?? null;
  }

  /** @throws {HandoverError} `journal-locked`, `journal-unreadable`; and the system's errors. */
  static source(options: JournalOptions): Journal<SourceRecord> {
    return Journal.#open(options, sourceEntry);
  }

  /** @throws {HandoverError} `journal-locked`, `journal-unreadable`; and the system's errors. */
  static destination(options: JournalOptions): Journal<DestinationRecord> {
    return Journal.#open(options, destinationEntry);
  }

  static #open<R>({ path, tryLock }: JournalOptions, schema: z.ZodType<Entry<R>>): Journal<R> {
    const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      if (!tryLock(file)) throw new HandoverError({ code: 'journal-locked', path });
      const bytes = readWhole(file);
      if (bytes.length < JOURNAL_BYTES) preallocate(file, path, bytes.length);
      const found = newestEntry(path, bytes, schema);
      return new Journal(path, file, found?.sequence ?? 0, found?.entry ?? null);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /** The session and its last step, as read at opening or written since; null in a new journal. */
  get newest(): Entry<R> | null {
    return this.#newest;
  }

  /**
   * The facts that go along with every step from now on: at a session's beginning, or when one changes (another engine).
   * Nothing is written until the next step. @throws {HandoverError} `record-too-large`, before anything depends on it.
   */
  useSession(session: Session): void {
    const lengthBytes = Buffer.byteLength(JSON.stringify(session));
    if (lengthBytes > SESSION_MAX_BYTES) {
      const what = "the session's description (paths of blocks, guest)";
      throw new HandoverError({ code: 'record-too-large', what, lengthBytes, limitBytes: SESSION_MAX_BYTES });
    }
    this.#session = session;
  }

  /** @throws {HandoverError} `record-too-large`; and the system's errors, after which the record may or may not be there. */
  async write(record: R, { sync }: { readonly sync: boolean }): Promise<void> {
    if (this.#session === null) throw new TypeError('a journal needs a session before its first step');
    const entry: Entry<R> = { version: 1, session: this.#session, handover: record };
    // A sequence is used once even if its write fails: the next one must not land in the same, possibly good, slot.
    const sequence = this.#sequence + 1;
    const slot = encodeSlot({ sequence, payload: JSON.stringify(entry) });
    this.#sequence = sequence;
    const written = writeSync(this.#file, slot, 0, slot.length, (sequence % SLOT_COUNT) * SLOT_BYTES);
    if (written !== slot.length) throw new Error(`short write to the journal ${this.#path}`);
    this.#newest = entry;
    if (sync) await syncData(this.#file);
  }

  /** Gives up the lock. */
  close(): void {
    closeSync(this.#file);
  }
}

/**
 * The newest step of a journal that somebody else may be writing: a hint, never a ground to act on.
 * @throws {HandoverError} `journal-unreadable`; and the system's errors.
 */
export function peekSourceJournal(path: string): Entry<SourceRecord> | null {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return newestEntry(path, readWhole(file), sourceEntry)?.entry ?? null;
  } finally {
    closeSync(file);
  }
}

/** An intact slot that is not understood is an error: falling back behind it could undo a commit. */
function newestEntry<R>(path: string, bytes: Buffer, schema: z.ZodType<Entry<R>>) {
  const slot = newestSlot(bytes);
  if (slot === null) return null;
  const parsed = schema.safeParse(parseJson(path, slot.payload));
  if (!parsed.success) {
    throw new HandoverError({ code: 'journal-unreadable', path, detail: parsed.error.message });
  }
  return { sequence: slot.sequence, entry: parsed.data };
}

function parseJson(path: string, payload: string): unknown {
  try {
    return JSON.parse(payload);
  } catch (error) {
    throw new HandoverError({ code: 'journal-unreadable', path, detail: String(error) }, { cause: error });
  }
}

/** Blocks are allocated and on the device before the first migration, so that a step cannot meet a full file system. */
function preallocate(file: number, path: string, fromByte: number): void {
  writeSync(file, Buffer.alloc(JOURNAL_BYTES - fromByte), 0, JOURNAL_BYTES - fromByte, fromByte);
  fsyncSync(file);
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function readWhole(file: number): Buffer {
  const bytes = Buffer.alloc(JOURNAL_BYTES);
  let lengthBytes = 0;
  for (;;) {
    const read = readSync(file, bytes, lengthBytes, JOURNAL_BYTES - lengthBytes, lengthBytes);
    if (read === 0) return bytes.subarray(0, lengthBytes);
    lengthBytes += read;
  }
}
