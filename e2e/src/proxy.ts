/**
 * A TCP proxy between source and destination that understands frames: it holds a message by its name, cuts
 * every connection, stalls, delays, and flips a byte of a page. This is how tests reach phases that last microseconds.
 *
 * A held message holds what follows it in its direction, except pings and their answers: a held connection is alive.
 */
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import {
  decodePreamble,
  encodeFrame,
  FRAME_TYPE,
  parseTcpAddress,
  PREAMBLE_BYTES,
  type Frame,
  type TcpAddress,
} from '@pageferry/protocol';
import { Relay, type FrameRule } from './relay.ts';
import { Hold, type MessageName } from './hold.ts';
import { guarded } from '@pageferry/scripts/harness';

export class Proxy {
  /** Held before each page frame, milliseconds. */
  delayMs = 0;
  /** Whether new connections are closed at once. */
  isRefusing = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #holds = new Map<MessageName, Hold>();
  #stall: Hold | undefined;
  #flip: Hold | undefined;
  #target: TcpAddress | undefined;

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
    const hold = new Hold(name);
    this.#holds.set(name, hold);
    return hold;
  }

  /** Closes all connections without a word, what they hold is lost. New ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Lets nothing through in either direction, pings neither, until it is released. Connections stay open. */
  stall(): Hold {
    this.#stall = new Hold('everything');
    return this.#stall;
  }

  /** Flips the last byte of the next page frame; with an image without zero pages that is a page's. */
  flipNextPage(): Hold {
    this.#flip = new Hold('pages');
    return this.#flip;
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
    const rule: FrameRule = {
      holdFor: (name) => this.#holdFor(name),
      change: async (frame) => this.#change(frame),
    };
    new Relay(client, server, kind, 'source', rule).start();
    new Relay(server, client, kind, 'destination', rule).start();
  }

  #holdFor(name: MessageName): Hold | undefined {
    const hold = this.#holds.get(name);
    this.#holds.delete(name);
    return hold;
  }

  async #change(frame: Frame): Promise<Uint8Array> {
    const bytes = encodeFrame(frame);
    if (frame.type === FRAME_TYPE.pages) {
      if (this.delayMs > 0) await pause(this.delayMs);
      if (this.#flip !== undefined) {
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
        this.#flip.arrive();
        this.#flip = undefined;
      }
    }
    await this.#stall?.ended;
    return bytes;
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
