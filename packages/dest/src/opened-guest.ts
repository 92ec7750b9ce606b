/**
 * The guest that was opened for an attempt and is not named by the journal yet: kept in a file, so that a daemon that
 * was killed meanwhile leaves no QEMU behind. The journal names a guest once it is prepared.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingGuestIdentity } from '@pageferry/guest';

export class OpenedGuest {
  readonly #path: string;

  /** `path`: a file in the state directory. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Null: nothing exists that would have to be ended. @throws the system's errors */
  keep(identity: IncomingGuestIdentity | null): void {
    if (identity === null) {
      this.forget();
      return;
    }
    writeFileSync(`${this.#path}.new`, JSON.stringify(identity), { mode: 0o600 });
    renameSync(`${this.#path}.new`, this.#path);
  }

  forget(): void {
    rmSync(this.#path, { force: true });
  }

  /** As it was kept, for `incomingGuestFromIdentity`, which checks it; undefined if there is none, or none that is whole. */
  find(): unknown {
    try {
      return JSON.parse(readFileSync(this.#path, 'utf8'));
    } catch {
      // Written by rename: what cannot be read is not there. A process that is left is seen by its monitor's lock.
      return undefined;
    }
  }
}
