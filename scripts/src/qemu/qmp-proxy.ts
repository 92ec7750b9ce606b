/**
 * Stands between whoever uses a QEMU's monitor and the QEMU, and may hold a command before it goes on. It reads the
 * user's commands, one a line, and understands their names alone; what QEMU says passes as it is.
 *
 * The QEMU is started by `behindProxy`, so that its process is still the one behind the socket that the user connects to.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { z } from 'zod';
import { programPath } from '../harness/child.ts';
import { eventually } from '../harness/wait.ts';
import { errorCode } from '../harness/error-code.ts';
import { onLine } from './socket-lines.ts';
import { compiled } from './workload-guest.ts';

/** Called with the name of each command before it goes on; false: it is lost. */
export type BeforeCommand = (command: string) => Promise<boolean>;

const command = z.object({ execute: z.string() });

/** The paths of one monitor's three sockets: the user's, the proxy's, QEMU's own. */
export interface MonitorPaths {
  readonly user: string;
  readonly proxy: string;
  readonly qemu: string;
}

export function monitorPaths(path: string): MonitorPaths {
  return { user: path, proxy: `${path}-proxy`, qemu: `${path}-qemu` };
}

/** The command of a QEMU that listens on `paths.qemu`, so that users reach it at `paths.user`, through the proxy. */
export function behindProxy(paths: MonitorPaths, qemu: readonly string[]): readonly string[] {
  return [compiled(programPath('scripts/host/launch-behind-proxy.c')), paths.user, paths.proxy, ...qemu];
}

export class QmpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #before: BeforeCommand;
  readonly #qemuPath: string;

  private constructor(server: Server, qemuPath: string, before: BeforeCommand) {
    this.#server = server;
    this.#qemuPath = qemuPath;
    this.#before = before;
    server.on('connection', (socket) => void this.#serve(socket));
  }

  static async listen(paths: MonitorPaths, before: BeforeCommand): Promise<QmpProxy> {
    const server = createServer();
    server.listen(paths.proxy);
    await once(server, 'listening');
    return new QmpProxy(server, paths.qemu, before);
  }

  /** Connections end; new ones are refused. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #serve(user: Socket): Promise<void> {
    this.#keep(user);
    const qemu = await connectSoon(this.#qemuPath, user);
    if (qemu === undefined) return;
    this.#keep(qemu);
    user.once('close', () => qemu.destroy());
    qemu.once('close', () => user.destroy());
    qemu.on('data', (bytes: Uint8Array) => user.write(bytes));
    let passed = Promise.resolve();
    const pass = async (line: string): Promise<void> => {
      const name = command.safeParse(JSON.parse(line)).data?.execute ?? '';
      if (await this.#before(name)) qemu.write(`${line}\n`);
    };
    // One after the other; a hook that throws ends the connection.
    onLine(user, (line) => {
      passed = passed.then(() => pass(line)).catch(() => void user.destroy());
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** QEMU listens a moment after it was started. Undefined if the user goes away first. */
async function connectSoon(path: string, user: Socket): Promise<Socket | undefined> {
  const found = await eventually(`a monitor at ${path}`, async () => {
    if (user.destroyed) return 'gone';
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ECONNREFUSED') return undefined;
      throw error;
    }
  });
  return found === 'gone' ? undefined : found;
}
