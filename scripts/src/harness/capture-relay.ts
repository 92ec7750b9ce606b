/**
 * A TCP relay that keeps what passes through it: each direction of each connection in a file of its own, from the first
 * byte on, as dump-stream reads it. It knows nothing of frames.
 *
 * The files hold what the wire holds: pages of the guest and, over plain TCP, the keys of the session. They are their
 * owner's only. A byte is in its file before it is passed on, so a file has all that the receiver can have seen.
 */
import { closeSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { formatTcpAddress, type Side, type TcpAddress } from '@pageferry/protocol';

export interface CapturePlan {
  /** Port 0 takes any. */
  readonly listen: TcpAddress;
  /** Where the destination listens. */
  readonly to: TcpAddress;
  /** Made if it is not there; empty, so that no earlier capture is written over. */
  readonly directory: string;
}

export class CaptureRelay {
  readonly #plan: CapturePlan;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #connectionCount = 0;

  private constructor(plan: CapturePlan, server: Server) {
    this.#plan = plan;
    this.#server = server;
    server.on('connection', (socket) => this.#serve(socket));
  }

  /** Throws if the directory is not empty or the address cannot be listened on. */
  static async listen(plan: CapturePlan): Promise<CaptureRelay> {
    mkdirSync(plan.directory, { recursive: true, mode: 0o700 });
    if (readdirSync(plan.directory).length > 0) throw new Error(`${plan.directory} is not empty`);
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(plan.listen.port, plan.listen.host);
    await once(server, 'listening');
    return new CaptureRelay(plan, server);
  }

  /** What POST /migrate takes instead of the destination's own. */
  get uri(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the relay does not listen');
    return formatTcpAddress({ host: this.#plan.listen.host, port: address.port });
  }

  /** Connections that came so far; their files are numbered from 1. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Cuts what is open. */
  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  #serve(source: Socket): void {
    this.#connectionCount += 1;
    const destination = connect({ ...this.#plan.to, allowHalfOpen: true, noDelay: true });
    this.#pass('source', this.#connectionCount, source, destination);
    this.#pass('destination', this.#connectionCount, destination, source);
  }

  /** One direction, until it ends or either socket is gone. */
  #pass(side: Side, connection: number, from: Socket, to: Socket): void {
    this.#sockets.add(from);
    const file = openSync(join(this.#plan.directory, captureName(connection, side)), 'w', 0o600);
    from.on('data', (bytes: Buffer) => {
      writeWhole(file, bytes);
      if (!to.write(bytes)) from.pause();
    });
    to.on('drain', () => from.resume());
    from.once('end', () => to.end());
    from.on('error', () => from.destroy());
    from.once('close', () => {
      closeSync(file);
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}

/** Name of a direction's file. `side` is who sent it. */
export function captureName(connection: number, side: Side): string {
  return `connection-${connection}-${side}.bin`;
}

function writeWhole(file: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length;) offset += writeSync(file, bytes, offset);
}
