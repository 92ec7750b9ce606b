/**
 * A connection read frame by frame into the receiver's own memory.
 *
 * `onread` asks the kernel for exactly the rest of the header or of the payload, so a payload arrives where it
 * is used without a copy (receiving with `data` events took twice the time, measured). Frames are handled
 * synchronously in the read callback: while one is applied nothing is read, and TCP holds the sender back.
 */
import { connect, Socket, type OnReadOpts, type SocketConstructorOpts } from 'node:net';
import { TransportError } from './errors.ts';
import { FrameReceiver, type FrameHandler } from './frame-receiver.ts';
import { system } from './system.ts';

/** What `new Socket` takes in Node 20 and 24 (tried on both); the types leave out `onread`. */
type AdoptOptions = SocketConstructorOpts & { readonly onread: OnReadOpts };

function lost(reason: string): TransportError {
  return new TransportError({ code: 'LINK_LOST', reason });
}

/** Data connections: long enough for a peer whose disk holds it up, short against the kernel's own quarter of an hour. */
export const DATA_STALL_TIMEOUT_MS = 30_000;

/** One end of a framed connection. Every method is for the thread that made it. */
export class FrameSocket {
  readonly #socket: Socket;
  readonly #handler: FrameHandler;
  readonly #receiver: FrameReceiver;
  #hasEnded = false;

  private constructor(socket: Socket, handler: FrameHandler, receiver: FrameReceiver) {
    this.#socket = socket;
    this.#receiver = receiver;
    this.#handler = handler;
    socket.setNoDelay(true);
    socket.once('error', (error) => this.#end(lost(error.message)));
    socket.once('end', () => this.#end(lost('the peer closed it')));
    socket.once('close', () => this.#end(lost('it was closed')));
  }

  /** Takes over an accepted connection by its descriptor, which now belongs to this object. */
  static adopt(fd: number, handler: FrameHandler): FrameSocket {
    const { receiver, onread, bind } = reading(handler);
    const options: AdoptOptions = { fd, readable: true, writable: true, onread };
    return bind(new FrameSocket(new Socket(options), handler, receiver));
  }

  /** Connects; a failure comes through `handler.ended`. `connected` is called once bytes can be sent. */
  static connect(
    address: { readonly host: string; readonly port: number },
    handler: FrameHandler,
    connected: () => void,
  ): FrameSocket {
    const { receiver, onread, bind } = reading(handler);
    const socket = connect({ host: address.host, port: address.port, onread }, connected);
    return bind(new FrameSocket(socket, handler, receiver));
  }

  /**
   * Takes over a socket whose `onread` another reader started (the listener, for the preamble); the caller
   * passes what it reads from here on to the returned `receive`.
   */
  static continueOn(
    socket: Socket,
    handler: FrameHandler,
  ): { frames: FrameSocket; receiver: FrameReceiver; receive: (byteCount: number) => boolean } {
    const { receiver, onread, bind } = reading(handler);
    const frames = bind(new FrameSocket(socket, handler, receiver));
    return { frames, receiver, receive: (byteCount) => onread.callback(byteCount, receiver.target) };
  }

  /** Bytes accepted by `send` and not yet by the kernel. */
  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  /** Sends bytes in order. They belong to the socket until `done`, which is not called after the end. */
  send(bytes: Uint8Array, done?: () => void): void {
    this.#socket.write(bytes, (error) => {
      if (!error) done?.();
    });
  }

  /**
   * From now on a connection that stands still has ended: sent bytes that nobody acknowledges for so long, or a frame that
   * stops half-way. It has no pings of its own; that nothing is under way is no standstill. Connected sockets only.
   */
  endWhenStalled(milliseconds: number): void {
    const fd = descriptorOf(this.#socket);
    if (fd !== undefined) system.setUserTimeout(fd, milliseconds);
    this.#socket.setTimeout(milliseconds, () => {
      if (this.#receiver.isMidFrame) this.#end(lost(`a frame stopped half-way for ${milliseconds} ms`));
    });
  }

  /** Sends what is queued, then closes, without `ended`. */
  close(): void {
    this.#hasEnded = true;
    this.#socket.destroySoon();
  }

  /** Closes at once, without `ended`. */
  destroy(): void {
    this.#hasEnded = true;
    this.#socket.destroy();
  }

  /** Runs a handler's step; what it throws ends the connection. Returns whether to read on. */
  step(work: () => void): boolean {
    try {
      work();
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
    return !this.#hasEnded;
  }

  #end(error: Error): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#socket.destroy();
    this.#handler.ended(error);
  }
}

/** Node names it nowhere in public. */
function descriptorOf(socket: Socket): number | undefined {
  if (!('_handle' in socket)) return undefined;
  const handle: unknown = socket._handle;
  const fd = typeof handle === 'object' && handle !== null && 'fd' in handle ? handle.fd : undefined;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

/** The read side of a socket that does not exist yet: `bind` names it once it does. */
function reading(handler: FrameHandler): {
  receiver: FrameReceiver;
  onread: OnReadOpts;
  bind: (frames: FrameSocket) => FrameSocket;
} {
  const receiver = new FrameReceiver(handler);
  let frames: FrameSocket | undefined;
  return {
    receiver,
    onread: {
      buffer: () => receiver.target,
      callback: (byteCount) => frames?.step(() => receiver.filled(byteCount)) ?? false,
    },
    bind: (bound) => (frames = bound),
  };
}
