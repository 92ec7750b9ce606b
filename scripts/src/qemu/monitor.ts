/**
 * A client of QEMU's monitor (QMP) as small as the benches need it: they look at a guest, and migrate it by QEMU alone,
 * without any of the project's own code in between.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { errorCode } from '../harness/error-code.ts';
import { eventually, guarded } from '../harness/wait.ts';
import { onLine } from './socket-lines.ts';

const message = z.object({
  QMP: z.unknown().optional(),
  event: z.string().optional(),
  return: z.unknown().optional(),
  error: z.object({ class: z.string(), desc: z.string() }).optional(),
});
type Message = z.output<typeof message>;

export class Monitor {
  /** Names of the events that came. */
  readonly events: string[] = [];
  readonly #socket: Socket;
  readonly #answers: Message[] = [];
  readonly #closed: Promise<unknown>;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => socket.destroy());
    this.#closed = new Promise((resolve) => {
      socket.once('close', resolve);
    });
    socket.once('close', () => this.#wake());
    onLine(socket, (line) => this.#take(message.parse(JSON.parse(line))));
  }

  /** Connects as soon as somebody listens there. */
  static async connect(path: string): Promise<Monitor> {
    const socket = await eventually(`a monitor at ${path}`, () => tryConnect(path));
    const monitor = new Monitor(socket);
    await guarded(`the greeting of ${path}`, monitor.#next());
    await monitor.execute('qmp_capabilities');
    return monitor;
  }

  /** What the command returns. Throws with QEMU's words if it fails. */
  async execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    const answer = await guarded(`the answer to ${command}`, this.#next());
    if (answer.error !== undefined) throw new Error(`${command}: ${answer.error.desc}`);
    return answer.return;
  }

  /** Ends the QEMU, which may go before it has answered. */
  async quit(): Promise<void> {
    this.#socket.write('{"execute":"quit"}\n');
    await guarded('the end of QEMU', this.#closed);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(received: Message): void {
    if (received.event !== undefined) this.events.push(received.event);
    else {
      this.#answers.push(received);
      this.#wake();
    }
  }

  async #next(): Promise<Message> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer !== undefined) return answer;
      if (this.#socket.destroyed) throw new Error('the monitor has closed the connection');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

async function tryConnect(path: string): Promise<Socket | undefined> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return socket;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ECONNREFUSED') return undefined;
    throw error;
  }
}
