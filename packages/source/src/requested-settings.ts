/**
 * What the operator asks for by PATCH /parameters and PUT /cache-size: it holds for the migration that runs and for all after
 * it; what POST /migrate says itself comes first.
 */
import {
  defaultParameters,
  migrationParameters,
  ProblemError,
  sessionIdOf,
  type CacheSizeAnswer,
  type LiveParameters,
  type MigrateBody,
  type MigrationParameters,
  type ParametersAnswer,
} from '@pageferry/protocol';
import type { Migration } from './migration.ts';
import type { RequestFile } from './request-file.ts';
import { Settings } from './settings.ts';

export class RequestedSettings {
  readonly #defaults = new Settings(defaultParameters());
  readonly #requests: RequestFile;
  readonly #last: () => Migration | undefined;

  /** `requests`: where a running migration's parameters are kept for the daemon's next life. `last`: running, or over. */
  constructor(requests: RequestFile, last: () => Migration | undefined) {
    this.#requests = requests;
    this.#last = last;
  }

  cacheSize(): CacheSizeAnswer {
    return this.#settings.cacheSize(this.#last()?.statistics.counters.cacheAllocatedBytes ?? 0);
  }

  /** In effect from the next round of a running migration on. @throws ProblemError cache-size */
  setCacheSize(bytes: number): CacheSizeAnswer {
    const { 'multifd-channels': streamCount } = this.#settings.parameters;
    const checked = migrationParameters.safeParse({
      ...this.#settings.parameters,
      'xbzrle-cache-size': bytes,
    });
    if (!checked.success) {
      const detail = checked.error.issues.map(({ message }) => message).join('; ');
      throw new ProblemError('cache-size', `${bytes} bytes with ${streamCount} streams: ${detail}`);
    }
    this.#settings.cacheSizeBytes = bytes;
    this.#defaults.cacheSizeBytes = bytes;
    this.#keepChanges();
    return this.cacheSize();
  }

  parameters(): ParametersAnswer {
    const { parameters: requested, effectiveCacheBytes } = this.#settings;
    return { requested, effective: { ...requested, 'xbzrle-cache-size': effectiveCacheBytes } };
  }

  /** In effect at once. */
  setParameters(changes: LiveParameters): ParametersAnswer {
    this.#settings.patch(changes);
    this.#defaults.patch(changes);
    this.#keepChanges();
    const bandwidth = changes['max-bandwidth'];
    if (bandwidth !== undefined) this.#running?.setBandwidth(bandwidth);
    return this.parameters();
  }

  /** The parameters of a migration that is asked for. @throws ProblemError invalid-body */
  complete(body: MigrateBody): MigrationParameters {
    const { parameters } = this.#defaults;
    const completed = migrationParameters.safeParse({
      ...body.parameters,
      'max-bandwidth': body.parameters['max-bandwidth'] ?? parameters['max-bandwidth'],
      'downtime-limit': body.parameters['downtime-limit'] ?? parameters['downtime-limit'],
      'xbzrle-cache-size': body.parameters['xbzrle-cache-size'] ?? parameters['xbzrle-cache-size'],
    });
    if (completed.success) return completed.data;
    const errors = completed.error.issues.map(({ path, message }) => ({
      path: ['parameters', ...path].join('.'),
      message,
    }));
    throw new ProblemError(
      'invalid-body',
      errors.map(({ path, message }) => `${path}: ${message}`).join('; '),
      { errors },
    );
  }

  /** A daemon that is started again goes on with what was changed meanwhile. */
  #keepChanges(): void {
    const running = this.#running;
    const kept = running === undefined ? undefined : this.#requests.find(sessionHexOf(running.id));
    if (running !== undefined && kept !== undefined)
      this.#requests.keep({ ...kept, parameters: running.settings.parameters });
  }

  get #running(): Migration | undefined {
    const last = this.#last();
    return last?.outcome === undefined ? last : undefined;
  }

  get #settings(): Settings {
    return this.#running?.settings ?? this.#defaults;
  }
}

function sessionHexOf(id: string): string {
  return Buffer.from(sessionIdOf(id)).toString('hex');
}
