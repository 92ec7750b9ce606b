/**
 * The source daemon: one migration at a time, its operator's requests, and what an earlier life left to finish.
 *
 * The last migration's status stays until the next one was accepted; a request that fails before that changes
 * nothing.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  mayResumeAfterRestart,
  startGuard,
  type Guard,
  type Journal,
  type SourceRecord,
} from '@pageferry/handover';
import { problemError } from '@pageferry/management';
import {
  defaultParameters,
  idleStatus,
  ProblemError,
  type MigrateAnswer,
  type MigrateBody,
  type MigrationStatus,
  uuidOf,
} from '@pageferry/protocol';
import { EngineProcess, Spare } from '@pageferry/transport';
import type { Logger } from 'pino';
import type { Held } from './attempt.ts';
import { Migration, type MigrationContext } from './migration.ts';
import { Cancelled } from './migration-errors.ts';
import type { Ownership } from './ownership.ts';
import { OwedAborts } from './owed-aborts.ts';
import { ENGINE_ENTRY } from './page-engine.ts';
import { recoverHandover } from './recovery.ts';
import { RequestFile, type KeptRequest } from './request-file.ts';
import { RequestedSettings } from './requested-settings.ts';
import { Settings } from './settings.ts';
import { linkTimes } from './setup.ts';
import { sourceStatus } from './status.ts';
import { recoveredStatus } from './recovered-status.ts';
import { checkSettled, takeOver } from './takeover.ts';

const RESTARTED = 'the source daemon was restarted';
const GUARD_ENTRY = fileURLToPath(new URL('./guard-main.js', import.meta.url));

export interface DaemonOptions {
  readonly logger: Logger;
  readonly journal: Journal<SourceRecord>;
  readonly journalPath: string;
  readonly stateDirectory: string;
  readonly imageRoot: string;
  readonly qmpRoot: string;
  readonly isStrict: boolean;
  readonly allowsPlainTcp: boolean;
}

export class SourceDaemon {
  readonly #options: DaemonOptions;
  readonly settings: RequestedSettings;
  /** Accepted: running, or the last one. */
  #current: Migration | undefined;
  /** Requested and not yet accepted. */
  #pending: Migration | undefined;
  #recovered: Ownership | undefined;
  readonly #spareGuard: Spare<Guard>;
  readonly #spareEngine = new Spare({
    start: () => new EngineProcess(ENGINE_ENTRY),
    isAlive: (engine) => engine.isAlive,
    end: (engine) => engine.kill(),
  });
  /** Of migrations before the journal's. */
  readonly #owed: OwedAborts;
  /** What a restarted daemon goes on with. */
  readonly #requests: RequestFile;
  #isEnding = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#owed = new OwedAborts(join(options.stateDirectory, 'owed-aborts.json'), options.logger);
    this.#requests = new RequestFile(join(options.stateDirectory, 'request.json'));
    this.settings = new RequestedSettings(this.#requests, () => this.#current);
    this.#spareGuard = new Spare({
      start: () => startGuard({ command: [process.execPath, GUARD_ENTRY, options.journalPath] }),
      isAlive: (guard) => guard.isAlive,
      end: (guard) => guard.stop(),
    });
  }

  /** Finishes what the journal says. Resolves when the guest, if it is ours, runs; asking the peer goes on. */
  async recover(): Promise<void> {
    const { journal, logger } = this.#options;
    this.#prepareSpares();
    await this.#owed.begin();
    const entry = journal.newest;
    if (entry === null) return;
    const { sessionId } = entry.session;
    const request = this.#requests.find(sessionId);
    const times = linkTimes(defaultParameters());
    const held = recoverHandover(entry, journal, times, logger, request !== undefined);
    if (held === undefined) return;
    const { ownership } = held;
    logger.warn({ phase: entry.handover.phase, sessionId }, 'finishing what the journal says');
    ownership.willResume = request !== undefined;
    this.#recovered = ownership;
    await ownership.begin(undefined);
    if (request !== undefined && mayResumeAfterRestart(ownership.state)) {
      this.#goOn(request, held, entry.session.guest);
      return;
    }
    // Streams and secret of a migration that was moving pages are gone with the daemon.
    ownership.willResume = false;
    await ownership.deliver(
      ownership.state.phase === 'precopy' ? { type: 'failed', reason: RESTARTED } : { type: 'retry' },
    );
  }

  /** Why no migration can be taken now; empty when one can. */
  get notReadyReasons(): string[] {
    if (this.#isEnding) return ['the daemon is ending'];
    const busy = this.#busyWith;
    return busy === undefined ? [] : [`migration ${busy} is not over`];
  }

  async migrate(body: MigrateBody): Promise<MigrateAnswer> {
    if (this.#isEnding)
      throw new ProblemError('migration-running', 'The daemon is ending', { peer: 'source' });
    const busy = this.#busyWith;
    if (busy !== undefined) {
      throw new ProblemError('migration-running', `Migration ${busy} is not over`, {
        'migration-id': busy,
        peer: 'source',
      });
    }
    const settings = new Settings(this.settings.complete(body));
    const id = randomUUID();
    const context = this.#context(id);
    const migration = new Migration(id, body, settings, context);
    this.#pending = migration;
    try {
      await migration.accepted;
    } finally {
      this.#pending = undefined;
    }
    this.#current = migration;
    void migration.released.then(() => this.#prepareSpares());
    context.logger.info(
      { uri: body.uri, blocks: body.blocks, parameters: settings.parameters },
      'migration started',
    );
    return {
      'migration-id': id,
      parameters: { ...settings.parameters, 'xbzrle-cache-size': settings.effectiveCacheBytes },
      capabilities: body.capabilities,
      warnings: migration.warnings,
    };
  }

  status(): MigrationStatus {
    if (this.#current !== undefined) return sourceStatus(this.#current, performance.now());
    const { newest } = this.#options.journal;
    return newest === null ? idleStatus('source') : recoveredStatus(newest, this.#recovered);
  }

  /** @throws ProblemError nothing-to-cancel, migration-unknown, past-point-of-no-return */
  cancel(id: string | undefined): { 'migration-id': string } {
    const migration = this.#named(id);
    const phase = migration.ownership?.state.phase;
    if (phase === 'committing' || phase === 'committed') {
      throw new ProblemError('past-point-of-no-return', 'The destination may be running the guest already', {
        hint: 'GET /status tells where the guest runs.',
      });
    }
    migration.fail(new Cancelled('The operator cancelled the migration'));
    return { 'migration-id': migration.id };
  }

  /** @throws ProblemError not-in-pre-switchover, nothing-to-cancel, migration-unknown */
  continue(id: string | undefined): { 'migration-id': string } {
    const migration = this.#running;
    if (migration === undefined) throw new ProblemError('not-in-pre-switchover', 'No migration is running');
    this.#named(id).continue();
    return { 'migration-id': migration.id };
  }

  /** @throws ProblemError migration-unknown, nothing-to-take-over, past-point-of-no-return, peer-connected, journal-failed */
  async takeOver(id: string): Promise<{ 'migration-id': string }> {
    const migration = this.#pending ?? this.#current;
    const { newest } = this.#options.journal;
    const known = migration?.id ?? (newest === null ? 'none' : uuidOf(newest.session.sessionId));
    if (id !== known) {
      throw new ProblemError('migration-unknown', `The last migration is ${known}, not ${id}`);
    }
    if (migration !== undefined) await takeOver(migration.ownership, migration.record.phase);
    else if (this.#recovered !== undefined) await takeOver(this.#recovered, undefined);
    else checkSettled(newest);
    return { 'migration-id': id };
  }

  /** Ends in good order: a guest that we paused runs again, unless it was committed away. */
  async shutDown(): Promise<void> {
    this.#isEnding = true;
    const migration = this.#pending ?? this.#running;
    if (migration !== undefined) {
      const phase = migration.ownership?.state.phase;
      if (phase !== 'committing' && phase !== 'committed') {
        migration.fail(problemError(new Cancelled('The source daemon is ending')));
        // A commit that won the race is finished by the next life of this daemon, from the journal.
        await Promise.race([
          migration.ended,
          migration.ownership?.until((state) => state.phase === 'committed') ?? migration.ended,
        ]);
      }
    }
    if (this.#current?.outcome !== undefined) await this.#current.released;
    await this.#current?.ownership?.close();
    await this.#recovered?.close();
    await this.#owed.close();
    await this.#spareGuard.stop();
    await this.#spareEngine.stop();
    this.#options.journal.close();
  }

  /** For the next migration, so that its setup need not wait for processes to start. */
  #prepareSpares(): void {
    if (this.#isEnding) return;
    this.#spareGuard.prepare();
    this.#spareEngine.prepare();
  }

  /** Goes on with a migration of an earlier life, in a newer epoch. */
  #goOn({ body, parameters, sessionId }: KeptRequest, held: Held, guestIdentity: unknown): void {
    const id = uuidOf(sessionId);
    const recovered = { held, guestIdentity, reason: RESTARTED };
    this.#current = new Migration(id, body, new Settings(parameters), this.#context(id), recovered);
    this.#recovered = undefined;
    void this.#current.released.then(() => this.#prepareSpares());
  }

  #context(id: string): MigrationContext {
    return {
      ...this.#options,
      logger: this.#options.logger.child({ migration: id }),
      requests: this.#requests,
      previousReleased: this.#current?.released ?? Promise.resolve(),
      releaseJournal: () => this.#releaseJournal(),
      takeGuard: () => this.#spareGuard.take(),
      takeEngine: () => this.#spareEngine.take(),
    };
  }

  async #releaseJournal(): Promise<void> {
    await this.#recovered?.close();
    this.#recovered = undefined;
    await this.#current?.ownership?.close();
    await this.#owed.keep(this.#options.journal.newest);
  }

  get #running(): Migration | undefined {
    return this.#current?.outcome === undefined ? this.#current : undefined;
  }

  /** The migration that bars another one: running, being set up, or committed in an earlier life. */
  get #busyWith(): string | undefined {
    const migration = this.#pending ?? this.#running;
    if (migration !== undefined) return migration.id;
    const phase = this.#recovered?.state.phase;
    const isOpen = phase !== undefined && phase !== 'rolled-back' && phase !== 'completed';
    return isOpen ? uuidOf(this.#options.journal.newest?.session.sessionId ?? '') : undefined;
  }

  #named(id: string | undefined): Migration {
    const migration = this.#pending ?? this.#running;
    if (migration === undefined) throw new ProblemError('nothing-to-cancel', 'No migration is running');
    if (id !== undefined && id !== migration.id) {
      throw new ProblemError('migration-unknown', `The current migration is ${migration.id}, not ${id}`);
    }
    return migration;
  }
}
