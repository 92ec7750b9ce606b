/**
 * What a restarted source needs to go on with a migration that was moving pages: the request, as it was completed.
 *
 * The journal says how far the handover came and how to prove the session; this file, written before the journal's
 * first step and bound to the session's id, says what was asked for. The one-time token was used and is not kept.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import {
  migrateBody,
  migrationParameters,
  type MigrateBody,
  type MigrationParameters,
} from '@pageferry/protocol';
import { z } from 'zod';

const USED_TOKEN = 'used';

const keptRequest = z.strictObject({
  /** 16 bytes, hexadecimal. */
  sessionId: z.string(),
  body: migrateBody,
  parameters: migrationParameters,
});

export interface KeptRequest {
  readonly sessionId: string;
  readonly body: MigrateBody;
  readonly parameters: MigrationParameters;
}

export class RequestFile {
  readonly #path: string;

  /** `path`: a file in the state directory. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Atomic: the old request or the new one. @throws the system's errors */
  keep(request: KeptRequest): void {
    const text = JSON.stringify({ ...request, body: { ...request.body, token: USED_TOKEN } });
    writeFileSync(`${this.#path}.new`, text, { mode: 0o600 });
    renameSync(`${this.#path}.new`, this.#path);
  }

  /** The request of that session; undefined if there is none, or none that this version can read. */
  find(sessionId: string): KeptRequest | undefined {
    const kept = this.#read();
    return kept?.sessionId === sessionId ? kept : undefined;
  }

  /** What has ended is not gone on with; before anybody is told. @throws the system's errors */
  forget(): void {
    rmSync(this.#path, { force: true });
  }

  #read(): KeptRequest | undefined {
    try {
      return keptRequest.parse(JSON.parse(readFileSync(this.#path, 'utf8')));
    } catch {
      // Without it the migration is not gone on with, which its status says; the guest is not concerned.
      return undefined;
    }
  }
}
