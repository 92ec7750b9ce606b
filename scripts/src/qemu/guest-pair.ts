/**
 * One guest and its two places, a and b, in one directory: an image, a monitor and a console each, and the disk that both
 * share. The QEMU at the other place is started by whoever moves the guest there; where the guest runs, the consoles say.
 *
 * Monitors are reached through a proxy, unless that is not wanted, which asks `beforeCommand` what becomes of a command.
 */
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../harness/child.ts';
import { eventually } from '../harness/wait.ts';
import { commandLineOf, processesNaming } from '../harness/processes.ts';
import { requirePrograms } from './debian.ts';
import { machineCommand, QEMU, type Machine } from './machine.ts';
import { behindProxy, monitorPaths, QmpProxy, type MonitorPaths } from './qmp-proxy.ts';
import { inOrder, linesOf, nextLine, SerialConsole, type Recording } from './serial-console.ts';
import { buildWorkloadGuest, workloadCommandLine, type WorkloadOptions } from './workload-guest.ts';

export type PlaceName = 'a' | 'b';
export const PLACES = ['a', 'b'] as const;

export interface GuestOptions extends WorkloadOptions {
  /** Of the RAM, bytes. */
  readonly memoryBytes: number;
  /** Whether commands of the monitors' users can be held; true if absent. Without, nothing is in between. */
  readonly isProxied?: boolean;
  /** Where the images are, below the guest's directory; that itself if absent. */
  readonly imageDirectory?: string;
}

/** What of a machine a test may make different at one place. */
export type MachineChanges = Partial<Pick<Machine, 'type' | 'disk' | 'memoryBytes' | 'append'>>;

/** A command of the user of a monitor, on its way to the QEMU. */
export interface CommandSight {
  readonly place: PlaceName;
  readonly command: string;
}

const DISK = 'disk';
const DISK_BYTES = 16 * 2 ** 20;
/** The verdicts that the guest keeps printing. */
const VERDICTS = ['PATTERN', 'DOCS', 'DISK'] as const;

export class GuestPair {
  readonly directory: string;
  readonly options: GuestOptions;
  readonly consoles: Readonly<Record<PlaceName, SerialConsole>>;
  /** Resolves with whether the command goes on. */
  beforeCommand: (sight: CommandSight) => Promise<boolean> = async () => true;
  readonly #boot = buildWorkloadGuest();
  readonly #proxies: QmpProxy[] = [];

  private constructor(
    directory: string,
    options: GuestOptions,
    consoles: Readonly<Record<PlaceName, SerialConsole>>,
  ) {
    this.directory = directory;
    this.options = options;
    this.consoles = consoles;
  }

  /** Makes the files and sockets; installs QEMU where it is missing and may be installed. */
  static async make(directory: string, options: GuestOptions): Promise<GuestPair> {
    requirePrograms([[QEMU, 'qemu-system-x86']]);
    const consoles = {
      a: await SerialConsole.listen(join(directory, 'a.serial'), 'a'),
      b: await SerialConsole.listen(join(directory, 'b.serial'), 'b'),
    };
    const pair = new GuestPair(directory, options, consoles);
    pair.makeDisk(DISK, DISK_BYTES);
    if (!pair.#isProxied) return pair;
    for (const place of PLACES)
      pair.#proxies.push(
        await QmpProxy.listen(pair.monitor(place), (command) => pair.beforeCommand({ place, command })),
      );
    return pair;
  }

  /** An empty disk's path; made if it is not there. */
  makeDisk(name: string, sizeBytes: number): string {
    const path = join(this.directory, `${name}.img`);
    writeFileSync(path, '', { flag: 'a' });
    truncateSync(path, sizeBytes);
    return path;
  }

  image(place: PlaceName): string {
    return join(this.directory, this.options.imageDirectory ?? '', `${place}.ram`);
  }

  monitor(place: PlaceName): MonitorPaths {
    return monitorPaths(join(this.directory, `${place}.qmp`));
  }

  /** What starts the QEMU at a place. */
  command(place: PlaceName, isIncoming: boolean, changes: MachineChanges = {}): readonly string[] {
    const machine = machineCommand({
      boot: this.#boot,
      append: workloadCommandLine(this.options),
      memoryBytes: this.options.memoryBytes,
      image: this.image(place),
      disk: join(this.directory, `${DISK}.img`),
      serial: join(this.directory, `${place}.serial`),
      qmp: this.#isProxied ? this.monitor(place).qemu : this.monitor(place).user,
      isIncoming,
      ...changes,
    });
    return this.#isProxied ? behindProxy(this.monitor(place), machine) : machine;
  }

  /** Starts the QEMU of a place, with a guest that boots or one that waits to come. */
  async start(place: PlaceName, isIncoming: boolean): Promise<Child> {
    return Child.startCommand(`the QEMU at ${place}`, this.command(place, isIncoming), true);
  }

  /** Boots the guest; resolves when all of its memory and disk hold what they should. */
  async boot(place: PlaceName): Promise<Child> {
    const child = await this.start(place, false);
    await eventually(
      'READY on the console',
      () => {
        if (child.exit !== undefined) throw new Error(`QEMU has ended:\n${child.lines.join('\n')}`);
        return linesOf(this.recordings).some(({ text }) => text === 'READY') ? true : undefined;
      },
      () => JSON.stringify(this.lastLines(place, 8)),
    );
    return child;
  }

  /** Of every QEMU whose guest ran, one after the other. */
  get recordings(): readonly Recording[] {
    return inOrder([this.consoles.a, this.consoles.b]);
  }

  /** Resolves when the guest has verified all of its memory and disk again, at this place. */
  async untilVerifiedAt(place: PlaceName): Promise<void> {
    const { patternMib, isDocs, isDisk } = this.options;
    const isPrinted = { PATTERN: patternMib > 0, DOCS: isDocs, DISK: isDisk };
    await Promise.all(
      VERDICTS.filter((name) => isPrinted[name]).map(async (name) => {
        // The first may be of a pass that began before.
        for (let pass = 0; pass < 2; pass += 1)
          await nextLine(this.consoles[place], name, (text) => text.startsWith(name));
      }),
    );
  }

  /** The last lines that came from a place. */
  lastLines(place: PlaceName, count: number): readonly string[] {
    return linesOf(inOrder([this.consoles[place]]))
      .slice(-count)
      .map(({ text }) => text);
  }

  /** Processes of QEMUs at a place, running or stopped. */
  qemuPids(place: PlaceName): readonly number[] {
    return processesNaming(this.image(place)).filter((pid) => commandLineOf(pid)[0] === QEMU);
  }

  get #isProxied(): boolean {
    return this.options.isProxied ?? true;
  }

  close(): void {
    for (const proxy of this.#proxies) proxy.close();
    for (const place of PLACES) this.consoles[place].close();
  }
}
