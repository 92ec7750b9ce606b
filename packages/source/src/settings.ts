/**
 * What an operator can change while a migration runs. `requested` is what was asked for here; what the
 * destination grants and what follows from the number of streams makes it effective.
 */
import type { CacheSizeAnswer, LiveParameters, MigrationParameters } from '@pageferry/protocol';
import { CACHE_BYTES_PER_STREAM_MAX } from '@pageferry/protocol';
import { cacheBytesPerStream } from '@pageferry/xbzrle';

export class Settings {
  #parameters: MigrationParameters;
  /** The destination's ceiling; none before a migration. */
  cacheCeilingBytes: number | undefined;

  constructor(parameters: MigrationParameters) {
    this.#parameters = parameters;
  }

  get parameters(): MigrationParameters {
    return this.#parameters;
  }

  /** Changes live parameters. */
  patch(changes: LiveParameters): void {
    const { 'max-bandwidth': maxBandwidth, 'downtime-limit': downtimeLimit } = changes;
    this.#parameters = {
      ...this.#parameters,
      ...(maxBandwidth === undefined ? {} : { 'max-bandwidth': maxBandwidth }),
      ...(downtimeLimit === undefined ? {} : { 'downtime-limit': downtimeLimit }),
    };
  }

  set cacheSizeBytes(bytes: number) {
    this.#parameters = { ...this.#parameters, 'xbzrle-cache-size': bytes };
  }

  /** The cache of all streams together: the smaller of request and ceiling. */
  get cacheSizeBytes(): number {
    return Math.min(this.#parameters['xbzrle-cache-size'], this.cacheCeilingBytes ?? Infinity);
  }

  /** What the streams' shares add up to: each is a power of two. */
  get effectiveCacheBytes(): number {
    const streamCount = this.#parameters['multifd-channels'];
    return cacheBytesPerStream(this.cacheSizeBytes, streamCount) * streamCount;
  }

  cacheSize(allocatedBytes: number): CacheSizeAnswer {
    return {
      requested: this.#parameters['xbzrle-cache-size'],
      ceiling: this.cacheCeilingBytes ?? this.#limitBytes,
      effective: this.effectiveCacheBytes,
      allocated: allocatedBytes,
      limit: this.#limitBytes,
    };
  }

  get #limitBytes(): number {
    return CACHE_BYTES_PER_STREAM_MAX * this.#parameters['multifd-channels'];
  }
}
