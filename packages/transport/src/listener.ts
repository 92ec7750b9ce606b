/**
 * The destination's one listening port: reads each connection's preamble (and of a data connection its
 * data-hello), then says what has arrived.
 *
 * Exactly these bytes are read (`onread` with buffers of that size), so that a data connection can be handed to
 * the engine with no byte lost: passing a `net.Socket` lets it read at once in the wrong process (64 KiB were
 * lost, measured). Until then a peer costs bounded memory and time.
 */
import type { SendHandle } from 'node:child_process';
import {
  createServer,
  Socket,
  type AddressInfo,
  type OnReadOpts,
  type Server,
  type SocketConstructorOpts,
} from 'node:net';
import {
  DATA_LIMITS_BEFORE_ACCEPT,
  decodeFrameHeader,
  decodePreamble,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  HELLO_TIMEOUT_MS,
  PENDING_CONNECTIONS_MAX,
  PREAMBLE_BYTES,
  type Frame,
  type Preamble,
} from '@pageferry/protocol/wire';
import { TransportError } from './errors.ts';
import type { FrameHandler, FrameReceiver } from './frame-receiver.ts';
import { FrameSocket } from './frame-socket.ts';

/** libuv's TCP handle. node has no public name for it; `net.Socket` takes it and IPC passes it on. */
export interface ConnectionHandle {
  readonly fd: number;
  close(done?: () => void): void;
}

/** Whether IPC takes it: a bare TCP handle is sent as it is, though the types name sockets and servers only. */
function isSendable(value: unknown): value is SendHandle {
  return typeof value === 'object' && value !== null && 'fd' in value && 'close' in value;
}

/** What `new Socket` takes in Node 20 and 24 (tried on both); the types leave out `handle` and `onread`. */
type HandleOptions = SocketConstructorOpts & { readonly handle: unknown; readonly onread: OnReadOpts };

const handleOf = (socket: Socket): unknown => ('_handle' in socket ? socket._handle : undefined);

/** A connection that has said what it is. To be taken, handed on or refused before `onArrival` returns. */
export class Arrival {
  readonly preamble: Preamble;
  /** Of a data connection: its data-hello, to be proven. */
  readonly dataHello: Frame | undefined;
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #take: (handler: FrameHandler) => FrameSocket;

  constructor(opening: Opening, socket: Socket, take: (handler: FrameHandler) => FrameSocket) {
    this.preamble = opening.preamble;
    this.dataHello = opening.dataHello;
    this.remoteAddress = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
    this.#socket = socket;
    this.#take = take;
  }

  /** Reads on in this process (control connections). */
  take(handler: FrameHandler): FrameSocket {
    return this.#take(handler);
  }

  /** Hands the unread rest to an engine (data connections): `send` passes the handle over IPC, `sent` lets ours go. */
  handOver(send: (handle: SendHandle, sent: () => void) => void): void {
    const handle = handleOf(this.#socket);
    if (isSendable(handle)) send(handle, () => this.#socket.destroy());
  }

  refuse(): void {
    this.#socket.destroy();
  }
}

/** The first bytes of a connection, as far as they decide whose it is. */
interface Opening {
  readonly preamble: Preamble;
  readonly dataHello: Frame | undefined;
}

const DATA_HELLO_PAYLOAD_BYTES = DATA_LIMITS_BEFORE_ACCEPT[FRAME_TYPE.dataHello] ?? 0;
const OPENING_MAX_BYTES = PREAMBLE_BYTES + FRAME_HEADER_BYTES + DATA_HELLO_PAYLOAD_BYTES;

/** How many bytes the opening that begins like this has in all. @throws ProtocolError for a bad preamble. */
function openingBytes(bytes: Uint8Array): number {
  return decodePreamble(bytes.subarray(0, PREAMBLE_BYTES)).kind === 'control'
    ? PREAMBLE_BYTES
    : OPENING_MAX_BYTES;
}

function decodeOpening(bytes: Uint8Array): Opening {
  const preamble = decodePreamble(bytes.subarray(0, PREAMBLE_BYTES));
  if (preamble.kind === 'control') return { preamble, dataHello: undefined };
  const header = decodeFrameHeader(bytes.subarray(PREAMBLE_BYTES), DATA_LIMITS_BEFORE_ACCEPT);
  return { preamble, dataHello: { ...header, payload: bytes.subarray(PREAMBLE_BYTES + FRAME_HEADER_BYTES) } };
}

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly onArrival: (arrival: Arrival) => void;
  /** A connection that ended without an acceptable preamble. */
  readonly onRefused: (error: Error) => void;
}

export class Listener {
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #open = new Set<Socket>();
  #pendingCount = 0;

  private constructor(options: ListenerOptions) {
    this.#options = options;
    this.#server = createServer({ pauseOnConnect: true, noDelay: true });
    this.#server.on('connection', (accepted) => this.#readPreamble(accepted));
  }

  /** Listens. @throws TransportError LISTEN_FAILED, with EADDRINUSE when the port is taken. */
  static async listen(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    const { host, port } = options;
    await new Promise<void>((resolve, reject) => {
      // Later ones are of connections that cannot be accepted (EMFILE): the listener goes on.
      listener.#server.on('error', (error: NodeJS.ErrnoException) => {
        reject(new TransportError({ code: 'LISTEN_FAILED', host, port, errno: error.code ?? error.message }));
        if (listener.#server.listening) options.onRefused(error);
      });
      listener.#server.listen({ host, port }, resolve);
    });
    return listener;
  }

  /** Where it listens: with port 0, the port that was found. */
  get address(): AddressInfo {
    const address = this.#server.address();
    if (address !== null && typeof address === 'object') return address;
    throw new TransportError({ code: 'LINK_LOST', reason: 'the listener is closed' });
  }

  /**
   * Stops listening; connections that were taken or handed over live on. (They are still the server's in node's
   * books, so its own "all closed" would never come.)
   */
  close(): void {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  #readPreamble(accepted: Socket): void {
    const { onArrival, onRefused } = this.#options;
    if (this.#pendingCount >= PENDING_CONNECTIONS_MAX) {
      accepted.destroy();
      onRefused(new TransportError({ code: 'LINK_LOST', reason: 'too many connections without a preamble' }));
      return;
    }
    this.#pendingCount += 1;
    const bytes = Buffer.alloc(OPENING_MAX_BYTES);
    let filledBytes = 0;
    let neededBytes = PREAMBLE_BYTES;
    let taken: { receiver: FrameReceiver; receive: (byteCount: number) => boolean } | undefined;

    /** Takes in what was read; answers whether to read on. */
    const filled = (byteCount: number): boolean => {
      filledBytes += byteCount;
      if (filledBytes < neededBytes) return true;
      try {
        neededBytes = openingBytes(bytes);
        if (filledBytes < neededBytes) return true;
        finish();
        const arrival = new Arrival(decodeOpening(bytes), socket, (handler) => {
          const { frames, ...rest } = FrameSocket.continueOn(socket, handler);
          taken = rest;
          return frames;
        });
        onArrival(arrival);
      } catch (error) {
        finish();
        refuse(error instanceof Error ? error : new Error(String(error)));
      }
      return taken !== undefined;
    };

    const options: HandleOptions = {
      handle: handleOf(accepted),
      readable: true,
      writable: true,
      onread: {
        // Never empty: node asks for the next buffer even after the answer "stop", and fails on an empty one.
        buffer: () =>
          taken?.receiver.target ?? bytes.subarray(filledBytes < neededBytes ? filledBytes : 0, neededBytes),
        callback: (byteCount) => (taken === undefined ? filled(byteCount) : taken.receive(byteCount)),
      },
    };
    const socket = new Socket(options);
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    const refuse = (error: Error): void => {
      socket.destroy();
      onRefused(error);
    };
    const lost = (): void => {
      finish();
      refuse(new TransportError({ code: 'LINK_LOST', reason: 'it ended before its preamble' }));
    };
    const timer = setTimeout(() => {
      finish();
      refuse(
        new TransportError({ code: 'TIMED_OUT', waitingFor: 'preamble', milliseconds: HELLO_TIMEOUT_MS }),
      );
    }, HELLO_TIMEOUT_MS);
    let isFinished = false;
    const finish = (): void => {
      if (isFinished) return;
      isFinished = true;
      clearTimeout(timer);
      this.#pendingCount -= 1;
      this.#open.delete(socket);
      socket.off('error', lost).off('end', lost).off('close', lost);
    };
    socket.once('error', lost).once('end', lost).once('close', lost);
  }
}
