/**
 * Everything that one migration needs, in one directory: two images, a guest, two daemons, the proxy between them.
 *
 * The images are on tmpfs. The destination's image begins with other bytes than the source's, so that a page that
 * was never written shows. `end` ends whatever still names the directory in its command line, and removes it.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { IncomingAnswer, MigrateAnswer, MigrationStatus } from '@pageferry/protocol';
import { writeInitialImage, type InitialImage } from '@pageferry/scripts';
import {
  type Child,
  Daemon,
  type IncomingRequest,
  type MigrateRequest,
  type Surroundings,
  endProcessesNaming,
  processesNaming,
  signalIfThere,
} from '@pageferry/scripts/harness';
import { Proxy } from './proxy.ts';
import { Workload, type WorkloadOptions } from './workload.ts';

/** Name of the destination's guest command in its daemon's configuration. */
export const GUEST_COMMAND = 'workload';
export const BLOCK_ID = 'pc.ram';
const MIB = 2 ** 20;

export interface RigOptions {
  /** A multiple of the page size. */
  readonly sizeBytes?: number;
  readonly seed?: number;
  /** Share of zero pages in the source's first image. */
  readonly zeroShare?: number;
  readonly workload?: Partial<WorkloadOptions>;
  /** Called with the rig's directory, when there is nothing in it yet. */
  readonly ground?: (directory: string) => Ground;
}

/** What the host is like, where it is not like the machine of the test. */
export interface Ground {
  /** Directory of an image, below the rig's. */
  readonly sourceDirectory?: string;
  readonly destinationDirectory?: string;
  readonly source?: Surroundings;
  readonly destination?: Surroundings;
  readonly guest?: Surroundings;
  /** Called when everything is made and before anything is started. */
  readonly made?: () => void;
  /** Called when nothing runs any more, before the directory is removed: unmounts. */
  readonly undo?: () => void;
}

export class Rig {
  readonly directory: string;
  readonly sourceImage: string;
  readonly destinationImage: string;
  readonly workload: Workload;
  readonly source: Daemon;
  readonly destination: Daemon;
  readonly proxy: Proxy;
  readonly guest: Child;
  readonly #undo: () => void;

  private constructor(parts: Parts) {
    this.directory = parts.directory;
    this.sourceImage = parts.sourceImage;
    this.destinationImage = parts.destinationImage;
    this.#undo = parts.undo;
    this.workload = parts.workload;
    this.source = parts.source;
    this.destination = parts.destination;
    this.proxy = parts.proxy;
    this.guest = parts.guest;
  }

  /** Makes everything and starts it: the guest writes, the daemons answer, nothing is armed. */
  static async start(options: RigOptions = {}): Promise<Rig> {
    const directory = mkdtempSync('/dev/shm/pageferry-e2e-');
    const ground = options.ground?.(directory) ?? {};
    const undo = once(ground.undo ?? ((): void => undefined));
    endAtExit(directory, undo);
    try {
      return await startIn(directory, options, ground, (parts) => new Rig({ ...parts, undo }));
    } catch (error) {
      await endAll(directory, undo);
      throw error;
    }
  }

  /** Arms the destination, on a port that the system chooses, and lets the proxy forward there. */
  async arm(changes: Partial<IncomingRequest> = {}): Promise<IncomingAnswer> {
    const armed = await this.destination.api.incoming(this.incomingRequest(changes));
    this.proxy.forwardTo(armed.uri);
    return armed;
  }

  incomingRequest(changes: Partial<IncomingRequest> = {}): IncomingRequest {
    return {
      listen: 'tcp:127.0.0.1:0',
      blocks: [{ id: BLOCK_ID, path: this.destinationImage }],
      guest: { type: 'process', command: GUEST_COMMAND },
      ...changes,
    };
  }

  /** A request through the proxy. The reread is on unless `parameters` says otherwise. */
  migrateRequest(token: string, changes: Partial<MigrateRequest> = {}): MigrateRequest {
    return {
      uri: this.proxy.uri,
      token,
      blocks: [{ id: BLOCK_ID, path: this.sourceImage }],
      guest: { type: 'process', pid: this.guest.pid },
      ...changes,
      parameters: { 'destination-reread': true, ...changes.parameters },
    };
  }

  /** Arms and starts; resolves when the migration is accepted. */
  async migrate(
    changes: Partial<MigrateRequest> = {},
    incoming: Partial<IncomingRequest> = {},
  ): Promise<MigrateAnswer> {
    const { token } = await this.arm(incoming);
    return this.source.api.migrate(this.migrateRequest(token, changes));
  }

  /** After a migration: its status, once the guest writes at the destination. Throws if it did not complete. */
  async untilMoved(): Promise<MigrationStatus> {
    const status = await this.source.api.untilOver();
    if (status.status !== 'completed') throw new Error(`${status.status}: ${status['error-desc']}`);
    await this.workload.untilItWritesAtDestination();
    return status;
  }

  /** Ends the guest at the destination and asks the oracle: in words what is wrong, empty if nothing is. */
  async findProblems(): Promise<readonly string[]> {
    await this.workload.stopAtDestination();
    const problems = await this.workload.findProblems(this.destinationImage);
    const { verdict } = this.workload;
    return verdict === 'identical' ? problems : [`cmp at the handover: ${verdict}`, ...problems];
  }

  async end(): Promise<void> {
    await this.source.stop();
    await this.destination.stop();
    await this.proxy.close();
    this.guest.signal('SIGKILL');
    await this.guest.ended;
    await endAll(this.directory, this.#undo);
  }
}

type Made = Pick<
  Rig,
  'directory' | 'sourceImage' | 'destinationImage' | 'workload' | 'source' | 'destination' | 'proxy' | 'guest'
>;
type Parts = Made & { readonly undo: () => void };

async function startIn(
  directory: string,
  options: RigOptions,
  ground: Ground,
  make: (parts: Made) => Rig,
): Promise<Rig> {
  const { sizeBytes = 16 * MIB, seed = 1, zeroShare = 0.3 } = options;
  const sourceImage = join(ground.sourceDirectory ?? directory, 'source.ram');
  const destinationImage = join(ground.destinationDirectory ?? directory, 'destination.ram');
  const initial: InitialImage = { seed, sizeBytes, zeroShare };
  writeInitialImage(sourceImage, initial, 'holes');
  writeInitialImage(destinationImage, { seed: seed + 1, sizeBytes, zeroShare: 0 }, 'written');
  const workload = new Workload(
    directory,
    {
      program: 'both',
      seed,
      ratePerSecond: 1000,
      docsRatePerSecond: 1000,
      zeroShare: 0.1,
      ...options.workload,
    },
    initial,
  );
  const command = workload.destinationCommand(sourceImage, destinationImage);
  const common = { directory, imageRoot: directory };
  const source = new Daemon({ ...common, ...ground.source, side: 'source' });
  const destination = new Daemon({
    ...common,
    ...ground.destination,
    side: 'destination',
    guestCommands: { [GUEST_COMMAND]: command },
  });
  ground.made?.();
  await Promise.all([source.start(), destination.start()]);
  const proxy = await Proxy.listen();
  const guest = await workload.startAtSource(sourceImage, ground.guest);
  return make({ directory, sourceImage, destinationImage, workload, source, destination, proxy, guest });
}

/** Every process of the rig names its directory. */
async function endAll(directory: string, undo: () => void): Promise<void> {
  await endProcessesNaming(directory);
  undo();
  rmSync(directory, { recursive: true });
}

const directories = new Map<string, () => void>();
process.once('exit', () => directories.forEach((before, directory) => endNow(directory, before)));

/**
 * At this process's end, ends what a test leaves that fails before its teardown; after a teardown there is nothing.
 * `before` the files are removed: what is mounted among them must go first.
 */
export function endAtExit(directory: string, before: () => void = () => undefined): void {
  directories.set(directory, before);
}

function endNow(directory: string, before: () => void): void {
  if (!existsSync(directory)) return;
  for (const pid of processesNaming(directory)) signalIfThere(pid, 'SIGKILL');
  before();
  rmSync(directory, { recursive: true, force: true });
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    work();
  };
}
