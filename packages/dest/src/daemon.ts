/**
 * The destination daemon: one incoming migration at a time, its operator's requests, and what an earlier life
 * left to finish. The last migration's status stays until the next one is armed.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  endLaunchedCommand,
  incomingGuest,
  incomingGuestFromIdentity,
  resolveMonitorPath,
  type IncomingGuest,
} from '@pageferry/guest';
import { recoverDestination, type DestinationRecord, type Journal, type Session } from '@pageferry/handover';
import { problemError } from '@pageferry/management';
import {
  CACHE_BYTES_MAX,
  formatTcpAddress,
  incomingBody,
  incomingParameters,
  isLoopbackHost,
  parseTcpAddress,
  idleStatus,
  ProblemError,
  type CacheSizeAnswer,
  type IncomingAnswer,
  type IncomingBody,
  type MigrationStatus,
  type ParametersAnswer,
} from '@pageferry/protocol';
import { EngineProcess, Spare, system } from '@pageferry/transport';
import type { Logger } from 'pino';
import { checkImages, type ImagePolicy } from './images.ts';
import { Incoming } from './incoming.ts';
import type { Armed, IncomingContext } from './incoming-context.ts';
import { OPEN_PHASES } from './incoming-session.ts';
import { ENGINE_ENTRY } from './page-engine.ts';
import { OpenedGuest } from './opened-guest.ts';
import { SettledAnswers } from './settled-answers.ts';
import { destinationStatus, socketAddresses } from './status.ts';

export interface DaemonOptions {
  readonly logger: Logger;
  readonly journal: Journal<DestinationRecord>;
  readonly stateDirectory: string;
  readonly policy: ImagePolicy;
  /** Directory that every monitor's socket must be in. */
  readonly qmpRoot: string;
  readonly allowsPlainTcp: boolean;
  /** Commands that start guests, by name. */
  readonly guestCommands: Readonly<Record<string, readonly string[]>>;
}

export class DestinationDaemon {
  readonly #options: DaemonOptions;
  #incoming: Incoming | undefined;
  readonly #settled: SettledAnswers;
  readonly #opened: OpenedGuest;
  readonly #spareEngine = new Spare({
    start: () => new EngineProcess(ENGINE_ENTRY),
    isAlive: (engine) => engine.isAlive,
    end: (engine) => engine.kill(),
  });
  #isArming = false;
  #isEnding = false;
  /** What PUT /cache-size or the last POST /incoming set. */
  #cacheCeilingBytes: number = CACHE_BYTES_MAX;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#settled = new SettledAnswers(join(options.stateDirectory, 'settled.json'));
    this.#opened = new OpenedGuest(join(options.stateDirectory, 'opened-guest.json'));
  }

  /** Goes on where an earlier life stopped: what was prepared waits for its source, on the same address. */
  async recover(): Promise<void> {
    const { journal, logger } = this.#options;
    this.#spareEngine.prepare();
    const entry = journal.newest;
    await this.#endOpened(entry?.handover.phase);
    const address = entry === null ? undefined : parseTcpAddress(entry.session.address);
    if (entry === null || address === undefined) return;
    logger.warn(
      { phase: entry.handover.phase, sessionId: entry.session.sessionId },
      'going on with what the journal says',
    );
    const incoming = new Incoming(
      this.#armedAgain(entry.session),
      this.#context(incomingParameters.parse({})),
      this.#cacheCeilingBytes,
    );
    this.#incoming = incoming;
    await incoming.recover(entry.session, recoverDestination(entry.handover));
    try {
      await incoming.listen(address);
    } catch (error) {
      if (!incoming.isOver) throw error;
      logger.warn({ err: error }, 'cannot listen for a source that may still ask');
    }
  }

  /**
   * A guest that was waiting for its state when the daemon was killed is not waited for any more. It may be of a migration
   * that the journal has nothing of yet, so it is ended whatever is newest there; but where a guest's fate is open the
   * handover finds and ends it. One that was given a state is not touched.
   */
  async #endOpened(phase: DestinationRecord['phase'] | undefined): Promise<void> {
    if (phase !== undefined && OPEN_PHASES.has(phase)) return;
    const launched = this.#opened.findLaunched();
    const identity = this.#opened.find();
    try {
      if (launched !== undefined) endLaunchedCommand(launched);
      if (identity !== undefined) await incomingGuestFromIdentity(identity, system).close();
      this.#opened.forget();
    } catch (error) {
      const { logger } = this.#options;
      logger.error({ err: error, identity, launched }, 'a guest that was opened for a migration may be left');
    }
  }

  /** Why no migration can be armed now; empty when one can. */
  get notReadyReasons(): string[] {
    if (this.#isEnding) return ['the daemon is ending'];
    return this.#isBusy ? [`migration ${this.#incoming?.id ?? '(armed)'} is not over`] : [];
  }

  async arm(body: IncomingBody): Promise<IncomingAnswer> {
    if (this.#isEnding)
      throw new ProblemError('migration-running', 'The daemon is ending', { peer: 'destination' });
    if (this.#isArming || this.#isBusy) throw this.#busy();
    this.#isArming = true;
    try {
      return await this.#arm(body);
    } catch (error) {
      throw problemError(error, { peer: 'destination' });
    } finally {
      this.#isArming = false;
    }
  }

  status(): MigrationStatus {
    return this.#incoming === undefined
      ? idleStatus('destination')
      : destinationStatus(this.#incoming, performance.now());
  }

  /** The cache is the source's; what counts here is the ceiling. */
  cacheSize(): CacheSizeAnswer {
    const ceiling = this.#incoming?.cacheCeilingBytes ?? this.#cacheCeilingBytes;
    return { requested: ceiling, ceiling, effective: ceiling, allocated: 0, limit: CACHE_BYTES_MAX };
  }

  setCacheSize(bytes: number): CacheSizeAnswer {
    this.#cacheCeilingBytes = bytes;
    this.#incoming?.setCacheCeiling(bytes);
    return this.cacheSize();
  }

  parameters(): ParametersAnswer {
    const parameters = this.#incoming?.armed?.body.parameters ?? incomingParameters.parse({});
    return { requested: parameters, effective: parameters };
  }

  /** @throws ProblemError not-armed, migration-unknown, past-point-of-no-return */
  async abort(id: string | undefined): Promise<{ 'migration-id'?: string }> {
    const incoming = this.#incoming;
    if (incoming === undefined || (incoming.isOver && !incoming.isInterrupted))
      throw new ProblemError('not-armed', 'No incoming migration is armed');
    if (id !== incoming.id) throw unknownToAbort(incoming.id);
    await incoming.abort();
    return incoming.id === undefined ? {} : { 'migration-id': incoming.id };
  }

  /** @throws ProblemError migration-unknown, nothing-to-take-over, peer-connected, journal-failed, guest-failed */
  async takeOver(id: string): Promise<{ 'migration-id': string }> {
    const session = this.#incoming?.session;
    if (session === undefined || this.#incoming?.id !== id) {
      const known = this.#incoming?.id ?? 'none';
      throw new ProblemError('migration-unknown', `The incoming migration is ${known}, not ${id}`, {
        peer: 'destination',
      });
    }
    await session.takeOver();
    return { 'migration-id': id };
  }

  /** Ends in good order; a prepared guest waits, stopped, for this daemon's next life. */
  async shutDown(): Promise<void> {
    this.#isEnding = true;
    await this.#incoming?.close();
    await this.#spareEngine.stop();
    this.#options.journal.close();
  }

  /** What a journal has of an armed migration: enough for its source to go on. */
  #armedAgain({ address, blocks, guest: spec }: Session): Armed | undefined {
    // None: those of the QEMU.
    const named = blocks.length === 0 ? {} : { blocks };
    const body = incomingBody.safeParse({ listen: address, ...named, guest: spec });
    if (!body.success) return undefined;
    const { guest } = body.data;
    return { body: body.data, makeGuest: () => this.#makeGuest(guest), warnings: [] };
  }

  async #arm(body: IncomingBody): Promise<IncomingAnswer> {
    const { policy, allowsPlainTcp } = this.#options;
    const address = parseTcpAddress(body.listen);
    if (address === undefined) throw new ProblemError('invalid-body', `${body.listen} is not an address`);
    if (!isLoopbackHost(address.host) && !allowsPlainTcp) {
      throw new ProblemError(
        'plain-tcp-refused',
        `${body.listen} is reachable from other machines and TCP is not encrypted`,
        {
          hint: 'Start the daemon with --allow-plain-tcp if the network is trusted.',
        },
      );
    }
    // An engine that is just ending may still hold the lock of the very image that is asked for, a guest its monitor.
    await this.#incoming?.session?.letGo();
    if (body.guest.type === 'qemu') await resolveMonitorPath(body.guest.qmp, this.#options.qmpRoot);
    const makeGuest = (): IncomingGuest => this.#makeGuest(body.guest);
    const guestPid = await this.#inspect(makeGuest(), body);
    const warnings = await checkImages(body.blocks ?? [], policy, guestPid);
    const ceilingBytes = body['xbzrle-cache-size'] ?? this.#cacheCeilingBytes;
    // Its source may not have heard yet what became of the last migration.
    this.#settled.remember(this.#options.journal.newest);
    const incoming = new Incoming(
      { body, makeGuest, warnings },
      this.#context(body.parameters),
      ceilingBytes,
    );
    // Where the last migration's listener holds the very port that is asked for, it makes room; else a port that is
    // taken must not cost it.
    const isSamePort = this.#incoming?.address?.port === address.port;
    if (isSamePort) await this.#incoming?.close();
    await incoming.listen(address);
    if (!isSamePort) await this.#incoming?.close();
    this.#incoming = incoming;
    // One may have been taken; this migration's setup need not wait for a process to start.
    this.#spareEngine.prepare();
    this.#cacheCeilingBytes = ceilingBytes;
    const bound = incoming.address ?? address;
    this.#options.logger.info({ uri: formatTcpAddress(bound), blocks: body.blocks }, 'armed');
    return {
      'socket-address': socketAddresses(incoming),
      uri: formatTcpAddress(bound),
      token: incoming.token,
      warnings,
    };
  }

  #makeGuest(spec: IncomingBody['guest']): IncomingGuest {
    const { guestCommands, stateDirectory } = this.#options;
    return incomingGuest(spec, guestCommands, stateDirectory, system);
  }

  /** Resolves with the pid of a guest that waits already. @throws ProblemError guest-unavailable, GuestError */
  async #inspect(guest: IncomingGuest, { guest: spec }: IncomingBody): Promise<number | undefined> {
    try {
      const reasons = await guest.preflight();
      if (reasons.length > 0)
        throw new ProblemError('guest-unavailable', reasons.join('; '), { 'blocked-reasons': [...reasons] });
      if (spec.type !== 'qemu' || spec.command !== undefined) return undefined;
      const identity = await guest.open();
      return identity !== null && 'pid' in identity ? identity.pid : undefined;
    } finally {
      await guest.close();
    }
  }

  #context(parameters: IncomingContext['parameters']): IncomingContext {
    const { logger, journal, policy } = this.#options;
    const settled = this.#settled;
    const opened = this.#opened;
    const hostBootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return {
      logger,
      journal,
      policy,
      hostBootId,
      parameters,
      opened,
      settled,
      takeEngine: () => this.#spareEngine.take(),
    };
  }

  get #isBusy(): boolean {
    return this.#incoming !== undefined && !this.#incoming.isOver;
  }

  #busy(): ProblemError {
    const id = this.#incoming?.id;
    return new ProblemError('migration-running', `Migration ${id ?? '(armed, no source yet)'} is not over`, {
      peer: 'destination',
      hint: 'POST /abort gives up an incoming migration whose source does not come back.',
      ...(id === undefined ? {} : { 'migration-id': id }),
    });
  }
}

/** `id`: of the incoming migration, which another one was named for, or none. */
function unknownToAbort(id: string | undefined): ProblemError {
  if (id !== undefined) {
    return new ProblemError('migration-unknown', `The incoming migration is ${id}: name it to abort it`);
  }
  return new ProblemError(
    'migration-unknown',
    'No source has come to the incoming migration yet, so it has no migration-id',
    { hint: 'POST /abort without a migration-id disarms it.' },
  );
}
