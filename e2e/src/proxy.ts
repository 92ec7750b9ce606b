/**
 * A TCP proxy between source and destination that understands frames: it holds a message by its name, cuts
 * connections, stalls, delays, drains slowly, and spoils a frame. This is how tests reach phases that last microseconds.
 *
 * A held message holds what follows it in its direction, except pings and their answers: a held connection is alive.
 */
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import {
  decodePreamble,
  encodeFrame,
  parseTcpAddress,
  PREAMBLE_BYTES,
  type Frame,
  type TcpAddress,
} from '@pageferry/protocol';
import { Hold, type MessageName, type Place } from './hold.ts';
import { Relay, type FrameRule, type Passage, type Sight } from './relay.ts';
import { carrierOf, spoilt, type Spoil } from './spoil.ts';
import { guarded } from '@pageferry/scripts/harness';

export class Proxy {
  /** Held before each page frame, milliseconds. */
  delayMs = 0;
  /** Held before each frame of any kind, pings too, milliseconds. */
  latencyMs = 0;
  /** How fast each direction of each connection is read; 0 is no limit. */
  readBytesPerSecond = 0;
  /** Whether new connections are closed at once. */
  isRefusing = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** The source's ends of data connections, in the order of their coming. */
  readonly #dataSockets = new Set<Socket>();
  readonly #holds: { readonly place: Place; readonly hold: Hold }[] = [];
  #stall: Hold | undefined;
  #spoiling: { readonly spoil: Spoil; readonly happened: Hold } | undefined;
  #target: TcpAddress | undefined;
  #pageBytes = 0;
  #resumeCount = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => void this.#serve(socket));
  }

  static async listen(): Promise<Proxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Proxy(server);
  }

  /** What POST /migrate takes. */
  get uri(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return `tcp:127.0.0.1:${(address satisfies AddressInfo).port}`;
  }

  /** Where connections go from now on: the uri that POST /incoming answered. */
  forwardTo(uri: string): void {
    this.#target = parseTcpAddress(uri);
  }

  /** Holds the next message of this name, from whichever side and on whichever connection. */
  hold(name: MessageName): Hold {
    return this.holdAt({ name });
  }

  /** Holds the next message that is at this place. */
  holdAt(place: Place): Hold {
    const hold = new Hold(place.name);
    this.#holds.push({ place, hold });
    return hold;
  }

  /** Hellos that went on with a migration after a cut. */
  get resumeCount(): number {
    return this.#resumeCount;
  }

  /** Ends every fault: what was held goes on, and nothing more is held, delayed or spoilt. */
  calm(): void {
    for (const { hold } of this.#holds.splice(0)) hold.release();
    this.#stall?.release();
    this.#stall = undefined;
    this.#spoiling = undefined;
    this.delayMs = 0;
    this.latencyMs = 0;
    this.readBytesPerSecond = 0;
    this.#pageBytes = 0;
  }

  /** Closes all connections without a word, what they hold is lost. New ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Closes one data connection, by its number in the order of their coming. Gives whether there is one. */
  cutData(index: number): boolean {
    const sockets = [...this.#dataSockets];
    const socket = sockets[index % Math.max(1, sockets.length)];
    socket?.destroy();
    return socket !== undefined;
  }

  /** Lets nothing through in either direction, pings neither, until it is released. Connections stay open. */
  stall(): Hold {
    this.#stall = new Hold('everything');
    return this.#stall;
  }

  /** Flips the last byte of the next page frame; with an image without zero pages that is a page's. */
  flipNextPage(): Hold {
    return this.spoil({ carrier: 'pages', part: 'payload', deed: 'flip', share: 1, bit: 0 });
  }

  /** Spoils the next frame of that kind; the hold's arrival says that it has happened. */
  spoil(spoil: Spoil): Hold {
    const happened = new Hold(spoil.carrier);
    this.#spoiling = { spoil, happened };
    return happened;
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await guarded('the end of the proxy', once(this.#server, 'close'));
  }

  async #serve(client: Socket): Promise<void> {
    this.#keep(client);
    const preamble = await readPreamble(client);
    const target = this.#target;
    if (preamble === undefined || target === undefined || this.isRefusing) {
      client.destroy();
      return;
    }
    const server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    this.#keep(server);
    server.write(preamble);
    const { kind } = decodePreamble(preamble);
    if (kind === 'data') {
      this.#dataSockets.add(client);
      client.once('close', () => this.#dataSockets.delete(client));
    }
    const rule: FrameRule = {
      holdFor: (sight) => this.#holdFor(sight),
      change: async (frame, sight) => this.#change(frame, sight),
      pace: async (byteCount) => this.#pace(byteCount),
    };
    new Relay(client, server, kind, 'source', rule).start();
    new Relay(server, client, kind, 'destination', rule).start();
  }

  #holdFor(sight: Sight): Hold | undefined {
    const index = this.#holds.findIndex(
      ({ place: { name, round, afterBytes = 0 } }) =>
        name === sight.name && (round ?? sight.round) === sight.round && this.#pageBytes >= afterBytes,
    );
    return index === -1 ? undefined : this.#holds.splice(index, 1)[0]?.hold;
  }

  async #change(frame: Frame, sight: Sight | undefined): Promise<Passage> {
    const bytes = encodeFrame(frame);
    if (this.latencyMs > 0) await pause(this.latencyMs);
    if (sight?.name === 'pages') {
      if (this.delayMs > 0) await pause(this.delayMs);
      this.#pageBytes += bytes.length;
    }
    if (sight?.purpose === 'resume') this.#resumeCount += 1;
    const passage = this.#spoilt(bytes, sight);
    await this.#stall?.ended;
    return passage;
  }

  #spoilt(bytes: Uint8Array, sight: Sight | undefined): Passage {
    const spoiling = this.#spoiling;
    if (spoiling === undefined || carrierOf(sight) !== spoiling.spoil.carrier)
      return { bytes, isLast: false };
    this.#spoiling = undefined;
    spoiling.happened.arrive();
    return spoilt(bytes, spoiling.spoil);
  }

  async #pace(byteCount: number): Promise<void> {
    if (this.readBytesPerSecond > 0) await pause((byteCount / this.readBytesPerSecond) * 1000);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** The first bytes of a connection; what follows them stays to be read. Undefined if it ends before. */
async function readPreamble(socket: Socket): Promise<Uint8Array | undefined> {
  while (!socket.readableEnded && !socket.destroyed) {
    const bytes: unknown = socket.read(PREAMBLE_BYTES);
    if (bytes instanceof Uint8Array) return bytes.length === PREAMBLE_BYTES ? bytes : undefined;
    await new Promise<void>((resolve) => {
      for (const event of ['readable', 'end', 'close']) socket.once(event, () => resolve());
    });
  }
  return undefined;
}
