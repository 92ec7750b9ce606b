// What was done to a source's QEMU for its device state, shared by all objects of this process that stand for that QEMU:
// after a restart one is made from the journal and one for the next attempt, and either may be told to resume.
// Invariant: once a resume is asked for, or QEMU says that the guest goes on, no save that began before begins QEMU's
// migration, and no state that was saved before is given again. The bump of the counter and the check are each in one turn
// with what they order, and QEMU carries out in order: a `migrate` that was written before is found by the resume.
import { GuestError } from './errors.ts';
import type { DeviceState, ProcessIdentity } from './guest.ts';
import type { QmpClient } from './qmp-client.ts';
import type { FormerSettings } from './qemu-settings.ts';

/** By the monitor's path: a QEMU that has taken another's place there has a record of its own. */
export class SaveRecords {
  readonly #records = new Map<string, { readonly owner: string; readonly record: SaveRecord }>();

  of({ pid, startTime, bootId }: ProcessIdentity, qmp: string): SaveRecord {
    const owner = `${bootId} ${pid} ${startTime}`;
    const known = this.#records.get(qmp);
    if (known?.owner === owner) return known.record;
    const record = new SaveRecord();
    this.#records.set(qmp, { owner, record });
    return record;
  }
}

export class SaveRecord {
  /** What saves have changed in this QEMU; known to this process only, so a restart of the daemon leaves it changed. */
  former: FormerSettings | null = null;
  #resumeCount = 0;
  #resumesUnderWay = 0;
  #savesUnderWay = 0;
  /** Resolves when every save that was asked for so far has ended. */
  #savesEnded: Promise<unknown> = Promise.resolve();
  /** A QEMU gives its state once; a guest that was paused before keeps it through a rollback. */
  #saved: { readonly state: DeviceState; readonly client: QmpClient } | null = null;
  #watched: QmpClient | null = null;

  get isSaving(): boolean {
    return this.#savesUnderWay > 0;
  }

  /**
   * Saves one after the other. `work` is given what throws if the guest is to run: it is called in the very turn in which
   * QEMU's migration is begun.
   * @throws GuestError `device-state-failed`, and what `work` throws
   */
  async save<T>(work: (checkPaused: () => void) => Promise<T>): Promise<T> {
    const countBefore = this.#resumeCount;
    const checkPaused = (): void => {
      if (this.#resumesUnderWay > 0 || this.#resumeCount !== countBefore)
        throw new GuestError({ code: 'device-state-failed', reason: 'the guest was resumed meanwhile' });
    };
    this.#savesUnderWay += 1;
    const result = this.#savesEnded.then(() => {
      checkPaused();
      return work(checkPaused);
    });
    this.#savesEnded = result.catch(() => undefined);
    try {
      return await result;
    } finally {
      this.#savesUnderWay -= 1;
    }
  }

  /** Asks for it in this turn. */
  async resume<T>(work: () => Promise<T>): Promise<T> {
    this.#goesOn();
    this.#resumesUnderWay += 1;
    try {
      return await work();
    } finally {
      this.#resumesUnderWay -= 1;
    }
  }

  /** After a resume was asked for: saves end soon, as each step of theirs sees it. */
  async savesEnded(): Promise<void> {
    await this.#savesEnded;
  }

  /** Watches for the guest going on by somebody else's word, as long as the connection lasts. */
  watch(client: QmpClient): void {
    if (this.#watched === client) return;
    this.#watched = client;
    client.onEvent(({ event }) => {
      if (event === 'RESUME') this.#goesOn();
    });
  }

  /** After `watch` of the same connection, and in one turn with `checkPaused`. */
  keep(state: DeviceState, client: QmpClient): void {
    this.#saved = { state, client };
  }

  /** `null` also where nobody watched the guest all the time since: the connection is another one. */
  kept(client: QmpClient): DeviceState | null {
    return this.#saved?.client === client ? this.#saved.state : null;
  }

  forget(): void {
    this.#saved = null;
  }

  #goesOn(): void {
    this.#resumeCount += 1;
    this.forget();
  }
}
