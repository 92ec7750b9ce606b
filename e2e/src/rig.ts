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

  private constructor(
    parts: Pick<Rig, 'directory' | 'workload' | 'source' | 'destination' | 'proxy' | 'guest'>,
  ) {
    this.directory = parts.directory;
    this.sourceImage = sourceImagePath(parts.directory);
    this.destinationImage = destinationImagePath(parts.directory);
    this.workload = parts.workload;
    this.source = parts.source;
    this.destination = parts.destination;
    this.proxy = parts.proxy;
    this.guest = parts.guest;
  }

  /** Makes everything and starts it: the guest writes, the daemons answer, nothing is armed. */
  static async start(options: RigOptions = {}): Promise<Rig> {
    const directory = mkdtempSync('/dev/shm/pageferry-e2e-');
    process.once('exit', () => endAtExit(directory));
    try {
      return await startIn(directory, options, (parts) => new Rig(parts));
    } catch (error) {
      await endAll(directory);
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
    await endAll(this.directory);
  }
}

type Parts = Pick<Rig, 'directory' | 'workload' | 'source' | 'destination' | 'proxy' | 'guest'>;

async function startIn(directory: string, options: RigOptions, make: (parts: Parts) => Rig): Promise<Rig> {
  const { sizeBytes = 16 * MIB, seed = 1, zeroShare = 0.3 } = options;
  const initial: InitialImage = { seed, sizeBytes, zeroShare };
  writeInitialImage(sourceImagePath(directory), initial, 'holes');
  writeInitialImage(destinationImagePath(directory), { seed: seed + 1, sizeBytes, zeroShare: 0 }, 'written');
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
  const command = workload.destinationCommand(sourceImagePath(directory), destinationImagePath(directory));
  const common = { directory, imageRoot: directory };
  const source = new Daemon({ ...common, side: 'source' });
  const destination = new Daemon({
    ...common,
    side: 'destination',
    guestCommands: { [GUEST_COMMAND]: command },
  });
  await Promise.all([source.start(), destination.start()]);
  const proxy = await Proxy.listen();
  const guest = await workload.startAtSource(sourceImagePath(directory));
  return make({ directory, workload, source, destination, proxy, guest });
}

function sourceImagePath(directory: string): string {
  return join(directory, 'source.ram');
}

function destinationImagePath(directory: string): string {
  return join(directory, 'destination.ram');
}

/** Every process of the rig names its directory. */
async function endAll(directory: string): Promise<void> {
  await endProcessesNaming(directory);
  rmSync(directory, { recursive: true });
}

/** What a test leaves that fails before its teardown; after a teardown there is nothing. */
export function endAtExit(directory: string): void {
  if (!existsSync(directory)) return;
  for (const pid of processesNaming(directory)) signalIfThere(pid, 'SIGKILL');
  rmSync(directory, { recursive: true, force: true });
}
