/**
 * The migrations whose streams are kept as fixtures: small, and together they hold every frame and nearly every message
 * that two daemons of this release send each other.
 *
 * Nobody runs in these images; they are written here, between the rounds, so that a capture holds few pages and is the
 * same but for secrets, pings and times. Pages are of repeated text, which compresses.
 */
import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseTcpAddress } from '@pageferry/protocol';
import { CaptureRelay, RefusedError } from '@pageferry/scripts/harness';
import type { DaemonPair } from './daemon-pair.ts';
import { BLOCK_ID } from './rig.ts';
import type { Proxy } from './proxy.ts';

const PAGE_BYTES = 4096;
/** Pages of a chunk, which go to one stream. */
const CHUNK_PAGES = 512;

export interface Capture {
  readonly name: string;
  /** Runs a migration; resolves when it is over. */
  readonly run: (migration: CapturedMigration) => Promise<void>;
  readonly pageCount: number;
}

export const CAPTURES: readonly Capture[] = [
  { name: 'migration', pageCount: 2 * CHUNK_PAGES, run: migrate },
  { name: 'rejected', pageCount: 16, run: beRejected },
  { name: 'cancelled', pageCount: 16, run: cancel },
  { name: 'resolved', pageCount: 16, run: loseTheAnswer },
];

/** Two images, the proxy that holds messages, and behind it the relay that keeps what the destination gets and sends. */
export class CapturedMigration {
  readonly proxy: Proxy;
  readonly #pair: DaemonPair;
  readonly #sourceImage: string;
  readonly #destinationImage: string;
  readonly #directory: string;
  #relay: CaptureRelay | undefined;

  constructor(pair: DaemonPair, proxy: Proxy, pageCount: number, directory: string) {
    this.#pair = pair;
    this.proxy = proxy;
    this.#directory = directory;
    this.#sourceImage = join(pair.directory, 'captured-source.ram');
    this.#destinationImage = join(pair.directory, 'captured-destination.ram');
    for (const path of [this.#sourceImage, this.#destinationImage]) {
      writeFileSync(path, '');
      truncateSync(path, pageCount * PAGE_BYTES);
    }
  }

  get source(): DaemonPair['source'] {
    return this.#pair.source;
  }

  /** Arms the destination; resolves with the token. */
  async arm(): Promise<string> {
    const { uri, token } = await this.#pair.destination.api.incoming({
      listen: 'tcp:127.0.0.1:0',
      blocks: [{ id: BLOCK_ID, path: this.#destinationImage }],
    });
    const to = parseTcpAddress(uri);
    if (to === undefined) throw new Error(`the destination is armed at ${uri}`);
    const listen = { host: '127.0.0.1', port: 0 };
    this.#relay = await CaptureRelay.listen({ listen, to, directory: this.#directory });
    this.proxy.forwardTo(this.#relay.uri);
    return token;
  }

  async start(token: string, streamCount = 1, roundCount = 0): Promise<void> {
    await this.source.api.migrate({
      uri: this.proxy.uri,
      token,
      blocks: [{ id: BLOCK_ID, path: this.#sourceImage }],
      parameters: {
        'multifd-channels': streamCount,
        'min-rounds': roundCount,
        // Its answers are all that the capture is about; pings would be noise.
        'ping-interval': 4000,
      },
    });
  }

  /** Resolves when both sides say that it is over; the status must be this. */
  async untilOver(status: string): Promise<void> {
    const sides = [this.#pair.source, this.#pair.destination];
    const ends = await Promise.all(sides.map((side) => side.api.untilOver()));
    for (const end of ends) {
      if (end.status !== status) throw new Error(`${end.status}: ${end['error-desc']}`);
    }
  }

  /** Makes a page this text, again and again; empty is zero. */
  write(page: number, text: string): void {
    this.#writeAt(page * PAGE_BYTES, Buffer.alloc(PAGE_BYTES, text === '' ? 0 : text));
  }

  /** Changes a few bytes of a page. */
  touch(page: number, offset: number, text: string): void {
    this.#writeAt(page * PAGE_BYTES + offset, Buffer.from(text));
  }

  /** The files are whole after that. */
  async close(): Promise<void> {
    await this.proxy.close();
    await this.#relay?.close();
  }

  #writeAt(offset: number, bytes: Uint8Array): void {
    const file = openSync(this.#sourceImage, 'r+');
    writeSync(file, bytes, 0, bytes.length, offset);
    closeSync(file);
  }
}

/** Two streams, five rounds: zero runs, raw pages, deltas, a page that becomes zero and one that was zero. */
async function migrate(migration: CapturedMigration): Promise<void> {
  const streams = [0, CHUNK_PAGES];
  for (const first of streams) {
    for (const page of [0, 1, 2, 100]) migration.write(first + page, `page ${first + page} before. `);
  }
  const changes: readonly ((first: number) => void)[] = [
    // A second transfer, raw: from here on the pages are in the cache.
    (first) => [0, 1, 2].forEach((page) => migration.touch(first + page, 16 * page, 'second')),
    (first) => {
      migration.touch(first, 0, 'third');
      migration.touch(first, 4000, 'third');
      migration.touch(first + 1, 1, '3');
      migration.write(first + 2, '');
      migration.write(first + 300, 'no longer zero. ');
    },
    (first) => migration.touch(first + 1, 2048, 'x'.repeat(200)),
    // Found by the final round.
    (first) => migration.touch(first, 100, 'the last one'),
  ];
  const token = await migration.arm();
  let hold = migration.proxy.hold('round-end');
  await migration.start(token, streams.length, changes.length - 1);
  for (const [round, change] of changes.entries()) {
    await hold.arrived;
    const held = hold;
    if (round < changes.length - 1) hold = migration.proxy.hold('round-end');
    for (const first of streams) change(first);
    held.release();
  }
  await migration.untilOver('completed');
}

async function beRejected(migration: CapturedMigration): Promise<void> {
  await migration.arm();
  try {
    await migration.start('not the token');
  } catch (error) {
    if (error instanceof RefusedError) return;
    throw error;
  }
  throw new Error('another token was taken');
}

async function cancel(migration: CapturedMigration): Promise<void> {
  migration.write(0, 'page 0. ');
  const token = await migration.arm();
  const hold = migration.proxy.hold('round-end');
  await migration.start(token);
  await hold.arrived;
  await migration.source.api.cancel();
  hold.release();
  await migration.untilOver('cancelled');
}

/** The connection is cut before `running` arrives; the source asks, on another one. */
async function loseTheAnswer(migration: CapturedMigration): Promise<void> {
  migration.write(0, 'page 0. ');
  const token = await migration.arm();
  const hold = migration.proxy.hold('running');
  await migration.start(token);
  await hold.arrived;
  migration.proxy.cut();
  await migration.untilOver('completed');
}
