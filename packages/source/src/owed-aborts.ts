/**
 * Destinations that were prepared for a migration that came to nothing, and have not heard so: they hold a stopped guest
 * and an image until they do. Each is told in the background, whatever is migrated since, and after a restart too.
 *
 * The journal has the newest session only; before another one takes its place, what it still owes is written here. Nothing
 * but an abort is ever said: the epoch was rolled back, journaled, and the guest is the source's.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { sourceEntry, type JournalWriter, type SourceEntry, type SourceRecord } from '@pageferry/handover';
import { defaultParameters } from '@pageferry/protocol';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Ownership } from './ownership.ts';
import { recoverHandover } from './recovery.ts';
import { linkTimes } from './setup.ts';

/** More than these at once are not kept; the oldest goes, and its destination waits for its operator. */
const KEPT_COUNT = 16;

export class OwedAborts {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #tellers = new Map<string, Ownership>();
  #entries: readonly SourceEntry[];

  /** `path`: a file in the state directory. @throws the system's errors, and zod's for a file that is not ours */
  constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
    this.#entries = read(path);
  }

  /** Goes on with what an earlier life owed. */
  async begin(): Promise<void> {
    await Promise.all(this.#entries.map((entry) => this.#tell(entry)));
  }

  /** Keeps what a journal's newest entry owes, if it owes anything, and goes on telling it. */
  async keep(entry: SourceEntry | null): Promise<void> {
    if (entry?.handover.phase !== 'rolled-back' || entry.handover.isPeerInformed) return;
    const { sessionId } = entry.session;
    if (this.#tellers.has(sessionId)) return;
    const others = this.#entries.filter(({ session }) => session.sessionId !== sessionId);
    this.#write([...others, entry].slice(-KEPT_COUNT));
    await this.#tell(entry);
  }

  /** Stops telling; the file keeps what is owed. */
  async close(): Promise<void> {
    await Promise.all([...this.#tellers.values()].map((teller) => teller.close()));
  }

  async #tell(entry: SourceEntry): Promise<void> {
    const { sessionId } = entry.session;
    // What the journal would be told is kept here instead.
    const journal: JournalWriter<SourceRecord> = {
      write: (record) => {
        if (record.phase === 'rolled-back' && record.isPeerInformed) this.#settle(sessionId);
        return Promise.resolve();
      },
    };
    const teller = recoverHandover(entry, journal, linkTimes(defaultParameters()), this.#logger)?.ownership;
    if (teller === undefined) return;
    this.#logger.warn({ sessionId }, 'a destination is still to be told that its migration came to nothing');
    this.#tellers.set(sessionId, teller);
    await teller.begin(undefined);
  }

  #settle(sessionId: string): void {
    this.#write(this.#entries.filter(({ session }) => session.sessionId !== sessionId));
    const teller = this.#tellers.get(sessionId);
    this.#tellers.delete(sessionId);
    void teller?.close();
  }

  /** Atomic: the old file or the new one. */
  #write(entries: readonly SourceEntry[]): void {
    const path = this.#path;
    writeFileSync(`${path}.new`, JSON.stringify(entries), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    this.#entries = entries;
  }
}

function read(path: string): readonly SourceEntry[] {
  try {
    return z.array(sourceEntry).parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
