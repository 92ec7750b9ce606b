/**
 * The host's end of a guest's serial console: a UNIX socket to which each QEMU of one side connects when it starts. What
 * comes is kept with the time of its arrival, a recording for each QEMU; a recording that stays empty is of a QEMU whose
 * guest never ran.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { eventually } from '../harness/wait.ts';

/** A line of a console, without its end. */
export interface ConsoleLine {
  /** When the byte that ended it came, on the clock of performance.now(), milliseconds. */
  readonly atMs: number;
  readonly text: string;
}

/** What one QEMU sent. */
export class Recording {
  readonly side: string;
  /** Of what came first; undefined while nothing has. */
  firstMs: number | undefined;
  /** The first may be the end of one that began elsewhere. */
  readonly lines: ConsoleLine[] = [];
  /** What came after the last line's end. */
  rest = '';

  constructor(side: string) {
    this.side = side;
  }

  add(atMs: number, text: string): void {
    this.firstMs ??= atMs;
    const pieces = text.replaceAll('\r', '').split('\n');
    const rest = pieces.pop() ?? '';
    for (const piece of pieces) {
      this.lines.push({ atMs, text: this.rest + piece });
      this.rest = '';
    }
    this.rest += rest;
  }
}

/** Lines that a failed wait quotes. */
const LAST_LINES = 8;

export class SerialConsole {
  /** One for each QEMU that connected, in their order. */
  readonly recordings: Recording[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, side: string) {
    this.#server = server;
    server.on('connection', (socket) => this.#record(socket, side));
  }

  /** `side` names the recordings; `path` is what QEMU's chardev connects to. */
  static async listen(path: string, side: string): Promise<SerialConsole> {
    const server = createServer();
    server.listen(path);
    await once(server, 'listening');
    return new SerialConsole(server, side);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #record(socket: Socket, side: string): void {
    const recording = new Recording(side);
    this.recordings.push(recording);
    this.#sockets.add(socket);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => recording.add(performance.now(), text));
    // A QEMU that is killed resets its connections.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** Lines of consecutive recordings as one text: a guest may move in the middle of a line. What has no end yet is none. */
export function linesOf(recordings: readonly Recording[]): readonly ConsoleLine[] {
  let begun = '';
  return recordings.flatMap(({ lines, rest }) => {
    const [first, ...others] = lines;
    if (first === undefined) {
      begun += rest;
      return [];
    }
    const joined = { atMs: first.atMs, text: begun + first.text };
    begun = rest;
    return [joined, ...others];
  });
}

/** Resolves with the first line that comes from now on and that `match` accepts. */
export async function nextLine(
  console: SerialConsole,
  what: string,
  match: (text: string) => boolean,
): Promise<ConsoleLine> {
  const sinceMs = performance.now();
  const find = (): ConsoleLine | undefined => {
    const lines = console.recordings.at(-1)?.lines ?? [];
    let index = lines.length;
    while (index > 0 && (lines[index - 1]?.atMs ?? 0) > sinceMs) index -= 1;
    return lines.slice(index).find(({ text }) => match(text));
  };
  return eventually(`${what} on the console`, find, () => {
    const last = console.recordings.at(-1)?.lines.slice(-LAST_LINES) ?? [];
    return last.map(({ text }) => text).join('; ');
  });
}

/** The recordings that are not empty, as their guests ran one after the other. */
export function inOrder(consoles: readonly SerialConsole[]): readonly Recording[] {
  return consoles
    .flatMap(({ recordings }) => recordings)
    .filter(({ firstMs }) => firstMs !== undefined)
    .sort((a, b) => (a.firstMs ?? 0) - (b.firstMs ?? 0));
}
