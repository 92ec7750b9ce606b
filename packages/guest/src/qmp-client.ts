// A connection to a QEMU's monitor: QMP, a line of JSON a message (QEMU's docs/interop/qmp-spec.rst).
// Invariant: every command is settled, by its answer, by its time-out or by the end of the connection. A command that
// timed out ends the connection: what QEMU does with it later is unknown, and a new client's commands come after it.
import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { GuestError, type GuestFault } from './errors.ts';
import type { GuestHost } from './guest.ts';
import { errorCode } from './process-state.ts';
import { QMP_TIMES, type QmpTimes } from './qmp-times.ts';

/** The longest answers known (query-qmp-schema) have a few hundred kilobytes. */
const LINE_MAX_CHARACTERS = 4 * 1024 * 1024;

/** sun_path of struct sockaddr_un, without its end (unix(7)). */
export const SOCKET_PATH_MAX_BYTES = 107;

const version = z.object({ major: z.int(), minor: z.int(), micro: z.int() });
export type QemuVersion = z.output<typeof version>;

const greetingMessage = z.object({ QMP: z.object({ version: z.object({ qemu: version }) }) });
const eventMessage = z.object({ event: z.string(), data: z.record(z.string(), z.unknown()).optional() });
export type QmpEvent = z.output<typeof eventMessage>;
const answerMessage = z.object({ id: z.int(), return: z.unknown() });
const errorMessage = z.object({
  /** Absent where QEMU could not even read the command. */
  id: z.int().optional(),
  error: z.object({ class: z.string(), desc: z.string() }),
});

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: GuestError) => void;
  readonly timer: NodeJS.Timeout;
}

interface Greeting {
  readonly resolve: (version: QemuVersion) => void;
  readonly reject: (error: GuestError) => void;
}

export interface QmpClientOptions {
  readonly host: GuestHost;
  readonly times?: QmpTimes;
}

/**
 * Connects, awaits the greeting and leaves negotiation mode.
 * @throws GuestError `monitor-unreachable`, `monitor-busy`, `monitor-malformed`, `monitor-lost`, `monitor-timeout`
 */
export async function connectQmp(
  path: string,
  { host, times = QMP_TIMES }: QmpClientOptions,
): Promise<QmpClient> {
  const socket = await connectSocket(path);
  const client = new QmpClient(path, socket, peerPidOf(path, socket, host), times);
  try {
    await client.negotiate();
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

export class QmpClient {
  readonly path: string;
  /** The process that listens at the monitor, by the kernel's word; 0 where it is in another pid namespace. */
  readonly pid: number;
  readonly #socket: Socket;
  readonly #times: QmpTimes;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  #greeting: Greeting | null = null;
  #version: QemuVersion = { major: 0, minor: 0, micro: 0 };
  #unfinishedLine: string[] = [];
  #unfinishedCharacters = 0;
  #lastId = 0;
  #end: GuestFault | null = null;

  constructor(path: string, socket: Socket, pid: number, times: QmpTimes) {
    this.path = path;
    this.pid = pid;
    this.#socket = socket;
    this.#times = times;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#receive(text));
    socket.on('error', () => undefined);
    socket.once('close', () => this.#endWith({ code: 'monitor-lost', path, command: null }));
  }

  get version(): QemuVersion {
    return this.#version;
  }

  get isOpen(): boolean {
    return this.#end === null;
  }

  /** Called once, by `connectQmp`. */
  async negotiate(): Promise<void> {
    this.#version = await this.#awaitGreeting();
    await this.execute('qmp_capabilities', {}, this.#times.greetingMs);
  }

  /**
   * Resolves with what QEMU returns. Commands may be given before earlier ones are answered; QEMU carries them out in
   * their order.
   * @throws GuestError `command-failed` (QEMU's own error), `monitor-timeout`, `monitor-lost`, `monitor-malformed`
   */
  execute(
    command: string,
    commandArguments: Readonly<Record<string, unknown>> = {},
    timeoutMs = this.#times.commandMs,
  ): Promise<unknown> {
    const { path } = this;
    if (this.#end !== null) return Promise.reject(new GuestError(naming(this.#end, command)));
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#endWith({ code: 'monitor-timeout', path, command, timeoutMs }),
        timeoutMs,
      );
      this.#pending.set(id, { command, resolve, reject, timer });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: commandArguments, id })}\n`);
    });
  }

  /** Answers come in between as they do. Returns what ends the listening. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#endWith({ code: 'monitor-lost', path: this.path, command: null });
  }

  #awaitGreeting(): Promise<QemuVersion> {
    const { path } = this;
    const timeoutMs = this.#times.greetingMs;
    const timer = setTimeout(() => this.#endWith({ code: 'monitor-busy', path, timeoutMs }), timeoutMs);
    return new Promise<QemuVersion>((resolve, reject) => {
      if (this.#end === null) this.#greeting = { resolve, reject };
      else reject(new GuestError(this.#end));
    }).finally(() => clearTimeout(timer));
  }

  #receive(text: string): void {
    const [first = '', ...others] = text.split('\n');
    this.#unfinishedLine.push(first);
    this.#unfinishedCharacters += first.length;
    if (this.#unfinishedCharacters > LINE_MAX_CHARACTERS) {
      this.#endWith(this.#malformed('a line that does not end'));
      return;
    }
    for (const next of others) {
      const line = this.#unfinishedLine.join('').trim();
      this.#unfinishedLine = [next];
      this.#unfinishedCharacters = next.length;
      if (line !== '' && this.#end === null) this.#receiveLine(line);
    }
  }

  #receiveLine(line: string): void {
    const message = parseJson(line);
    if (message === undefined) {
      this.#endWith(this.#malformed(line.slice(0, 80)));
      return;
    }
    const failure = errorMessage.safeParse(message).data;
    if (failure !== undefined) return this.#receiveError(failure);
    const event = eventMessage.safeParse(message).data;
    if (event !== undefined) return this.#listeners.forEach((listener) => listener(event));
    const greeting = greetingMessage.safeParse(message).data;
    if (greeting !== undefined) return this.#greeting?.resolve(greeting.QMP.version.qemu);
    const answer = answerMessage.safeParse(message).data;
    if (answer !== undefined) return this.#take(answer.id)?.resolve(answer.return);
    this.#endWith(this.#malformed(line.slice(0, 80)));
  }

  #receiveError({ id, error }: z.output<typeof errorMessage>): void {
    // Without an id QEMU has not understood us, and every answer would be to another question than we think.
    if (id === undefined) return this.#endWith(this.#malformed(error.desc));
    const pending = this.#take(id);
    if (pending === undefined) return;
    const { path } = this;
    const { command } = pending;
    pending.reject(
      new GuestError({ code: 'command-failed', path, command, class: error.class, description: error.desc }),
    );
  }

  /** An answer to a question that nobody asked is dropped. */
  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    return pending;
  }

  #malformed(found: string): GuestFault {
    return { code: 'monitor-malformed', path: this.path, found };
  }

  #endWith(fault: GuestFault): void {
    if (this.#end !== null) return;
    this.#end = fault;
    this.#socket.destroy();
    this.#greeting?.reject(new GuestError(fault));
    for (const id of this.#pending.keys()) {
      const pending = this.#take(id);
      pending?.reject(new GuestError(naming(fault, pending.command)));
    }
  }
}

/** The end of a connection as it concerns one command: another's time-out is a lost connection to it. */
function naming(fault: GuestFault, command: string): GuestFault {
  if (fault.code === 'monitor-timeout' && fault.command !== command)
    return { code: 'monitor-lost', path: fault.path, command };
  return fault.code === 'monitor-lost' ? { ...fault, command } : fault;
}

/** @throws GuestError `monitor-unreachable`, `monitor-busy` */
export function connectSocket(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // libuv cuts a longer path off, and would connect to another one.
    if (Buffer.byteLength(path) > SOCKET_PATH_MAX_BYTES) {
      reject(new GuestError({ code: 'monitor-unreachable', path, errno: 'ENAMETOOLONG' }));
      return;
    }
    const socket = connect(path);
    const failed = (cause: Error): void => {
      socket.destroy();
      // The queue of those who wait for the one client to leave is full.
      const fault: GuestFault =
        errorCode(cause) === 'EAGAIN'
          ? { code: 'monitor-busy', path, timeoutMs: null }
          : { code: 'monitor-unreachable', path, errno: errorCode(cause) ?? String(cause) };
      reject(new GuestError(fault, { cause }));
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      resolve(socket);
    });
  });
}

function peerPidOf(path: string, socket: Socket, host: GuestHost): number {
  try {
    return host.peerPid(descriptorOf(socket));
  } catch (cause) {
    socket.destroy();
    throw new GuestError({ code: 'monitor-lost', path, command: null }, { cause });
  }
}

/** libuv's handle has the descriptor; node has no public name for it. -1 when it is closed already. */
export function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  return typeof fd === 'number' ? fd : -1;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
