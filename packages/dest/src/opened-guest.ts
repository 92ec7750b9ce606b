/**
 * The guest that was opened for an attempt and is not named by the journal yet: kept in a file, so that a daemon that
 * was killed meanwhile leaves no QEMU behind. The journal names a guest once it is prepared. Until it answers, its command
 * is kept, in a file of its own.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingGuestIdentity, ProcessIdentity } from '@pageferry/guest';

export class OpenedGuest {
  readonly #path: string;
  readonly #launchedPath: string;

  /** `path`: a file in the state directory. */
  constructor(path: string) {
    this.#path = path;
    this.#launchedPath = `${path}.launched`;
  }

  /** A command was started, whose guest does not answer yet. @throws the system's errors */
  keepLaunched(command: ProcessIdentity): void {
    write(this.#launchedPath, command);
  }

  /** Null: nothing exists that would have to be ended. @throws the system's errors */
  keep(identity: IncomingGuestIdentity | null): void {
    if (identity === null) {
      this.forget();
      return;
    }
    write(this.#path, identity);
    // From here on it may be given a state, and then it is not to be killed as a command that came to nothing.
    rmSync(this.#launchedPath, { force: true });
  }

  forget(): void {
    rmSync(this.#path, { force: true });
    rmSync(this.#launchedPath, { force: true });
  }

  /** As it was kept, for `endLaunchedCommand`, which checks it. */
  findLaunched(): unknown {
    return read(this.#launchedPath);
  }

  /** As it was kept, for `incomingGuestFromIdentity`, which checks it; undefined if there is none, or none that is whole. */
  find(): unknown {
    return read(this.#path);
  }
}

function write(path: string, content: object): void {
  writeFileSync(`${path}.new`, JSON.stringify(content), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function read(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    // Written by rename: what cannot be read is not there. A process that is left is seen by its monitor's lock.
    return undefined;
  }
}
