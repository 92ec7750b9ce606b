// A QEMU as it shows itself at its monitor: run states, a QOM tree, its own migration through UNIX sockets. The facts are
// those seen of QEMU 7.2 by hand; tests change them, and single answers, to what they need.
import { once } from 'node:events';
import { createServer, connect, type Socket } from 'node:net';
import type { GuestHost } from '../src/guest.ts';
import { Monitors } from '../src/monitors.ts';
import type { QemuContext } from '../src/qemu-process.ts';
import { QMP_TIMES, type QmpTimes } from '../src/qmp-times.ts';
import { SaveRecords } from '../src/save-record.ts';
import { FakeClock, FakeProcesses, identity } from './fake-processes.ts';
import { Refusal, ScriptedMonitor, type Answer, type Teardown } from './scripted-monitor.ts';

type Properties = Readonly<Record<string, unknown>>;

/** On the fake clock, where a time-out costs a poll for every two of these milliseconds. */
const TIMES: QmpTimes = { ...QMP_TIMES, deviceStateMs: 2000 };

/** For what is not answered at all. */
export const HASTY: QmpTimes = { ...TIMES, greetingMs: 50, commandMs: 50, runStateMs: 50, endMs: 50 };

export const RAM_TABLE = `              Block Name    PSize              Offset               Used              Total
                  pc.ram    4 KiB  0x0000000000000000 0x0000000004000000 0x0000000004000000
   0000:00:02.0/vga.vram    4 KiB  0x0000000004080000 0x0000000001000000 0x0000000001000000
    /rom@etc/acpi/tables    4 KiB  0x0000000005100000 0x0000000000020000 0x0000000000200000
`;

export class FakeQemu {
  readonly monitor: ScriptedMonitor;
  readonly processes = new FakeProcesses();
  readonly clock = new FakeClock();
  readonly context: QemuContext;
  readonly qmp: string;
  status = 'running';
  migration: Properties = {};
  capabilities = new Map([
    ['x-ignore-shared', false],
    ['late-block-activate', false],
    ['multifd', false],
    ['return-path', false],
  ]);
  parameters: Record<string, unknown> = { 'max-bandwidth': 134217728, 'tls-creds': '' };
  ramTable = RAM_TABLE;
  networkTable = '';
  disks: readonly unknown[] = [];
  /** QOM objects by path: children have types `child<…>`, everything else is a value. */
  objects: Record<string, Properties> = {};
  /** What its own migration sends, and what it was given. */
  state: Uint8Array = Buffer.from('device state');
  loaded: Uint8Array | null = null;
  readonly #t: Teardown;

  private constructor(t: Teardown, qmp: string, monitor: ScriptedMonitor, times: QmpTimes) {
    this.#t = t;
    this.qmp = qmp;
    this.monitor = monitor;
    const host: GuestHost = { peerPid: () => identity.pid };
    const { processes, clock } = this;
    const [monitors, saves] = [new Monitors(host, times), new SaveRecords()];
    this.context = { host, monitors, saves, processes, clock };
    const answers: Readonly<Record<string, Answer>> = {
      'query-status': () => ({ status: this.status, running: this.status === 'running' }),
      'query-migrate': () => this.migration,
      'query-migrate-capabilities': () =>
        [...this.capabilities].map(([capability, state]) => ({ capability, state })),
      'migrate-set-capabilities': (given) => this.#setCapabilities(given['capabilities']),
      'query-migrate-parameters': () => this.parameters,
      'migrate-set-parameters': (given) => {
        this.parameters = { ...this.parameters, ...given };
        return {};
      },
      'query-cpus-fast': () => [{}, {}],
      'query-block': () => this.disks,
      'human-monitor-command': ({ 'command-line': line }) =>
        line === 'info network' ? this.networkTable : this.ramTable,
      'qom-list': ({ path }) => this.#list(String(path)),
      'qom-get': ({ path, property }) => this.objects[String(path)]?.[String(property)],
      // While it waits for a state it only learns not to start by itself.
      stop: () => this.#become(this.status === 'inmigrate' ? 'inmigrate' : 'paused'),
      cont: () => this.#become('running'),
      'announce-self': () => ({}),
      migrate: ({ uri }) => this.#send(String(uri)),
      migrate_cancel: () => {
        this.migration = { status: 'cancelled' };
        return {};
      },
      'migrate-incoming': ({ uri }) => this.#listen(String(uri)),
      quit: () => {
        this.end();
        return {};
      },
    };
    for (const [command, answer] of Object.entries(answers)) monitor.answers.set(command, answer);
  }

  static async listen(t: Teardown, qmp: string, times = TIMES): Promise<FakeQemu> {
    return new FakeQemu(t, qmp, await ScriptedMonitor.listen(t, qmp), times);
  }

  get identity(): { readonly type: 'qemu'; readonly qmp: string } & typeof identity {
    return { type: 'qemu', qmp: this.qmp, ...identity };
  }

  /** The process is gone, and its sockets with it. */
  end(): void {
    this.processes.summaries = ['ended'];
    this.monitor.close();
  }

  /** Memory blocks by their backend's id, as -object makes them. */
  giveMemory(backends: Readonly<Record<string, Properties & { readonly type: string }>>): void {
    const children = Object.entries(backends).map(([id, { type }]) => [id, `child<${type}>`]);
    this.objects['/objects'] = Object.fromEntries(children);
    for (const [id, { type: _, ...properties }] of Object.entries(backends))
      this.objects[`/objects/${id}`] = properties;
  }

  #become(status: string): unknown {
    this.status = status;
    return {};
  }

  #setCapabilities(list: unknown): unknown {
    if (!Array.isArray(list)) return new Refusal('no list');
    for (const { capability, state } of list) {
      if (!this.capabilities.has(capability)) return new Refusal(`Invalid parameter '${capability}'`);
      this.capabilities.set(capability, state);
    }
    return {};
  }

  #list(path: string): unknown {
    const properties = Object.entries(this.objects[path] ?? {});
    return properties.map(([name, value]) => {
      const isChild = typeof value === 'string' && value.startsWith('child<');
      return { name, type: isChild ? value : typeof value };
    });
  }

  #send(uri: string): unknown {
    this.migration = { status: 'active' };
    const socket = connect(uri.replace('unix:', ''));
    this.#tie(socket);
    socket.once('error', (error) => {
      if (this.migration['status'] === 'active')
        this.migration = { status: 'failed', 'error-desc': `Unable to write to socket: ${error.message}` };
    });
    socket.end(this.state, () => {
      this.status = 'postmigrate';
      this.migration = { status: 'completed' };
    });
    return {};
  }

  async #listen(uri: string): Promise<unknown> {
    const server = createServer((socket) => {
      const pieces: Uint8Array[] = [];
      this.#tie(socket);
      socket.on('data', (piece: Uint8Array) => pieces.push(piece));
      socket.once('end', () => {
        server.close();
        this.loaded = Buffer.concat(pieces);
        this.migration = { status: 'completed' };
        this.status = 'paused';
      });
    });
    server.listen(uri.replace('unix:', ''));
    this.#t.teardown(() => server.close());
    await once(server, 'listening');
    this.migration = { 'socket-address': [{ type: 'unix' }] };
    return {};
  }

  #tie(socket: Socket): void {
    socket.on('error', () => undefined);
    this.#t.teardown(() => socket.destroy());
  }
}
