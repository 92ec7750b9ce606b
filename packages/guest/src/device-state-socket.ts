// The UNIX socket through which a QEMU gives its device state, or takes it.
// QEMU may run as another user, so the socket's folder is open to everybody; but nobody who was not told finds it: its
// name is random, inside a folder that cannot be listed. Besides, the kernel's word on the peer's pid is checked.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GuestError } from './errors.ts';
import type { GuestHost } from './guest.ts';
import { connectSocket, descriptorOf, SOCKET_PATH_MAX_BYTES } from './qmp-client.ts';

const MAY_ENTER = 0o711;
const MAY_ALL = 0o777;

/** Gives `work` a path at which a socket can be made, by us or by a QEMU of another user, and removes it afterwards. */
export async function withSocketPath<T>(
  work: (path: string) => Promise<T>,
  parent: string = tmpdir(),
): Promise<T> {
  const outer = await mkdtemp(join(parent, 'pageferry-'));
  try {
    const inner = join(outer, randomBytes(16).toString('hex'));
    const path = join(inner, 'state');
    if (Buffer.byteLength(path) > SOCKET_PATH_MAX_BYTES)
      throw failed(`a socket cannot have so long a path (set TMPDIR to a shorter one): ${path}`);
    await mkdir(inner);
    // mkdir's mode is subject to the umask.
    await chmod(inner, MAY_ALL);
    await chmod(outer, MAY_ENTER);
    return await work(path);
  } finally {
    await rm(outer, { recursive: true, force: true });
  }
}

export interface PeerOptions {
  readonly host: GuestHost;
  /** The process that must be at the other end. */
  readonly pid: number;
  /** How long no byte may come or go. */
  readonly stallMs: number;
}

export interface ReceiveOptions extends PeerOptions {
  readonly limitBytes: number;
}

/** Takes what one connection of the named process sends, up to its end. */
export class StateReceiver {
  /** Settles at the end of the connection. @throws GuestError `device-state-failed`, `device-state-too-large` */
  readonly bytes: Promise<Uint8Array>;
  readonly #server: Server;
  readonly #options: ReceiveOptions;
  readonly #pieces: Uint8Array[] = [];
  #lengthBytes = 0;
  #socket: Socket | null = null;
  #isSettled = false;
  #resolve: (bytes: Uint8Array) => void = () => undefined;
  #reject: (error: GuestError) => void = () => undefined;

  private constructor(server: Server, options: ReceiveOptions) {
    this.#server = server;
    this.#options = options;
    this.bytes = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const settled = (): void => {
      this.#isSettled = true;
    };
    // Who awaits it may come later than the failure.
    this.bytes.then(settled, settled);
    server.on('connection', (socket) => this.#accept(socket));
  }

  static async listen(path: string, options: ReceiveOptions): Promise<StateReceiver> {
    const server = createServer();
    server.listen({ path, readableAll: true, writableAll: true });
    await once(server, 'listening');
    return new StateReceiver(server, options);
  }

  /** Whether the process has connected; from then on a stall is noticed here. */
  get isConnected(): boolean {
    return this.#socket !== null;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Ends the connection, whatever it is at. */
  close(): void {
    this.#server.close();
    this.#socket?.destroy();
    this.#reject(failed('it was given up'));
  }

  #accept(socket: Socket): void {
    const { host, pid, stallMs } = this.#options;
    socket.on('error', () => undefined);
    if (this.#socket !== null || !isFrom(socket, host, pid)) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    socket.setTimeout(stallMs, () => this.#fail(failed(`QEMU sent nothing for ${stallMs} ms`)));
    socket.on('data', (piece: Uint8Array) => this.#take(piece));
    socket.once('end', () => this.#resolve(Buffer.concat(this.#pieces)));
    socket.once('close', () => this.#reject(failed('the connection ended early')));
  }

  #take(piece: Uint8Array): void {
    const { limitBytes } = this.#options;
    this.#lengthBytes += piece.length;
    if (this.#lengthBytes <= limitBytes) this.#pieces.push(piece);
    else this.#fail(new GuestError({ code: 'device-state-too-large', limitBytes }));
  }

  #fail(error: GuestError): void {
    this.#reject(error);
    this.#socket?.destroy();
  }
}

/**
 * Begins to send the bytes to the named process, which listens at `path`; returns what ends the connection. Whether they
 * arrived and were understood is asked elsewhere, so a connection that QEMU ends early is no error.
 * @throws GuestError `prepare-failed`
 */
export async function sendState(
  path: string,
  bytes: Uint8Array,
  { host, pid, stallMs }: PeerOptions,
): Promise<() => void> {
  const socket = await connectSocket(path).catch((cause: unknown) => {
    throw notSent(`QEMU does not let us connect to hand over its state: ${String(cause)}`, cause);
  });
  const end = (): void => void socket.destroy();
  socket.on('error', () => undefined);
  if (!isFrom(socket, host, pid)) {
    end();
    throw notSent('another process than QEMU takes the state');
  }
  socket.setTimeout(stallMs, end);
  socket.end(bytes);
  return end;
}

function isFrom(socket: Socket, host: GuestHost, pid: number): boolean {
  try {
    return host.peerPid(descriptorOf(socket)) === pid;
  } catch {
    // It is closed already.
    return false;
  }
}

function notSent(reason: string, cause?: unknown): GuestError {
  return new GuestError({ code: 'prepare-failed', reason }, { cause });
}

function failed(reason: string): GuestError {
  return new GuestError({ code: 'device-state-failed', reason });
}
