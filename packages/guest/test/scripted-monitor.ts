// The foreign program's side of a monitor: a UNIX socket that greets one client at a time, as QEMU does, and answers as
// the test says. `log` has the commands in the order in which they came.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Teardown {
  teardown(end: () => unknown): void;
}

/** The path of a UNIX socket is short, that of a test's own folder is not. */
export function socketFolder(t: Teardown): string {
  const folder = mkdtempSync(join(tmpdir(), 'pageferry-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What became of a command instead of an answer. */
export const SILENCE = Symbol('never answers');
export const HANG_UP = Symbol('ends the connection');

export class Refusal {
  readonly description: string;
  readonly class: string;

  constructor(description: string, errorClass = 'GenericError') {
    this.description = description;
    this.class = errorClass;
  }
}

type Arguments = Readonly<Record<string, unknown>>;
export type Answer = (commandArguments: Arguments) => unknown;

interface Command {
  readonly execute: string;
  readonly arguments?: Arguments;
  readonly id: number;
}

export class ScriptedMonitor {
  readonly log: string[] = [];
  readonly answers = new Map<string, Answer>([['qmp_capabilities', () => ({})]]);
  /** Of the greeting; `null` for a monitor that never greets. */
  version: { major: number; minor: number; micro: number } | null = { major: 7, minor: 2, micro: 22 };
  connectionCount = 0;
  readonly #server: Server;
  readonly #waiting: Socket[] = [];
  #client: Socket | null = null;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#accept(socket));
  }

  static async listen(t: Teardown, path: string): Promise<ScriptedMonitor> {
    const server = createServer().listen(path);
    await once(server, 'listening');
    const monitor = new ScriptedMonitor(server);
    t.teardown(() => monitor.close());
    return monitor;
  }

  /** As when the process ends. */
  close(): void {
    this.#server.close();
    for (const socket of [this.#client, ...this.#waiting]) socket?.destroy();
  }

  hangUp(): void {
    this.#client?.destroy();
  }

  /** Puts these very characters on the wire. */
  say(text: string | Uint8Array): void {
    this.#client?.write(text);
  }

  event(name: string, data?: Arguments): void {
    this.say(`${JSON.stringify({ event: name, data, timestamp: { seconds: 1, microseconds: 2 } })}\r\n`);
  }

  #accept(socket: Socket): void {
    this.connectionCount += 1;
    socket.on('error', () => undefined);
    socket.once('close', () => this.#left(socket));
    if (this.#client === null) this.#serve(socket);
    else this.#waiting.push(socket);
  }

  #left(socket: Socket): void {
    const place = this.#waiting.indexOf(socket);
    if (place >= 0) this.#waiting.splice(place, 1);
    if (this.#client !== socket) return;
    this.#client = null;
    const next = this.#waiting.shift();
    if (next !== undefined) this.#serve(next);
  }

  #serve(socket: Socket): void {
    this.#client = socket;
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (piece: string) => {
      text += piece;
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) void this.#carryOut(socket, JSON.parse(line));
    });
    if (this.version === null) return;
    const greeting = { QMP: { version: { qemu: this.version, package: '' }, capabilities: ['oob'] } };
    socket.write(`${JSON.stringify(greeting)}\r\n`);
  }

  async #carryOut(socket: Socket, { execute, arguments: given = {}, id }: Command): Promise<void> {
    this.log.push(execute);
    const answer = this.answers.get(execute);
    const result: unknown =
      answer === undefined ? new Refusal(`no command ${execute}`, 'CommandNotFound') : await answer(given);
    if (result === SILENCE) return;
    if (result === HANG_UP) socket.destroy();
    else if (result instanceof Refusal)
      socket.write(`${JSON.stringify({ id, error: { class: result.class, desc: result.description } })}\r\n`);
    else socket.write(`${JSON.stringify({ return: result, id })}\r\n`);
  }
}
