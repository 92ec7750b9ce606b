/** Everything that the parts of one run work on: daemons and proxy, the guest, its files, and the requests about them. */
import { existsSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { givenParameters } from '@pageferry/protocol';
import { writeInitialImage } from '@pageferry/scripts';
import { PATIENCE, type MigrateRequest } from '@pageferry/scripts/harness';
import { BLOCK_ID, GUEST_COMMAND } from '../rig.ts';
import { Workload } from '../workload.ts';
import { ImageDamage } from './damage.ts';
import type { DaemonPair } from '../daemon-pair.ts';
import type { ChaosPlan } from './plan.ts';

/** Every run's; a stall is shorter or longer than this. */
export const PING_TIMEOUT_MS = 1000 * PATIENCE;
/** Under a fault, so that a run takes seconds. */
const QUICK_TIMES = {
  'ping-interval': 200 * PATIENCE,
  'ping-timeout': PING_TIMEOUT_MS,
  'hello-timeout': 1500 * PATIENCE,
} as const;
/** Where nothing goes wrong, so that a busy machine is no fault. */
const PATIENT_TIMES = {
  'ping-interval': 1000,
  'ping-timeout': 30_000 * PATIENCE,
  'hello-timeout': 30_000 * PATIENCE,
} as const;
const QUICK_SOURCE_TIMES = {
  'connect-timeout': 1500 * PATIENCE,
  'switchover-timeout': 4000 * PATIENCE,
} as const;
const PATIENT_SOURCE_TIMES = {
  'connect-timeout': 30_000 * PATIENCE,
  'switchover-timeout': 60_000 * PATIENCE,
} as const;
/** Accepted as soon as the daemons can go on after a cut. */
const RECONNECT_LIMIT = givenParameters.shape['reconnect-limit'].safeParse(5);

export class Parties {
  readonly pair: DaemonPair;
  readonly plan: ChaosPlan;
  /** Of this run. */
  readonly directory: string;
  readonly sourceImage: string;
  readonly destinationImage: string;
  readonly workload: Workload;
  readonly damage: ImageDamage;

  /** The directory is there already. */
  constructor(pair: DaemonPair, plan: ChaosPlan, directory: string) {
    this.pair = pair;
    this.plan = plan;
    this.directory = directory;
    this.sourceImage = join(directory, 'source.ram');
    const small = plan.fault === 'destination-full' ? pair.smallFileSystem : undefined;
    this.destinationImage = join(small?.directory ?? directory, 'destination.ram');
    this.workload = new Workload(directory, plan.workload, plan.initial);
    this.damage = new ImageDamage({
      sourceImage: this.sourceImage,
      destinationImage: this.destinationImage,
      initial: plan.initial,
      workload: this.workload,
      smallFileSystem: small,
    });
  }

  /** Images as the plan says, and the guest's command at the destination. */
  writeFiles(): void {
    const { initial, zeros } = this.plan;
    writeInitialImage(this.sourceImage, initial, zeros);
    this.#writeOldFile();
    this.pair.setGuestCommand(this.workload.destinationCommand(this.sourceImage, this.destinationImage));
  }

  removeFiles(): void {
    rmSync(this.destinationImage, { force: true });
    rmSync(this.directory, { recursive: true });
  }

  get hasDestinationFile(): boolean {
    return existsSync(this.destinationImage);
  }

  /**
   * Arms the destination for the guest; resolves with the request that moves it, through the proxy. `isCalm`: nothing is
   * going to befall it.
   */
  async arm(pid: number, isNewFile: boolean, isCalm: boolean): Promise<MigrateRequest> {
    const { pair, plan } = this;
    const times = isCalm ? PATIENT_TIMES : QUICK_TIMES;
    const { uri, token } = await pair.destination.api.incoming({
      listen: 'tcp:127.0.0.1:0',
      blocks: [{ id: BLOCK_ID, path: this.destinationImage, create: isNewFile }],
      guest: { type: 'process', command: GUEST_COMMAND },
      'xbzrle-cache-size': plan.cacheCeilingBytes,
      parameters: times,
    });
    pair.proxy.forwardTo(uri);
    const mayResume = plan.mayResume && RECONNECT_LIMIT.success;
    return {
      uri: pair.proxy.uri,
      token,
      blocks: [{ id: BLOCK_ID, path: this.sourceImage }],
      guest: { type: 'process', pid, 'discards-memory': false },
      capabilities: { xbzrle: plan.xbzrle, 'pause-before-switchover': plan.pauseBeforeSwitchover },
      parameters: {
        ...plan.parameters,
        ...times,
        ...(isCalm ? PATIENT_SOURCE_TIMES : QUICK_SOURCE_TIMES),
        'on-no-convergence': 'switchover',
        ...(mayResume ? { 'reconnect-limit': RECONNECT_LIMIT.data } : {}),
      },
      tracker: plan.tracker,
    };
  }

  /** As `arm`, for the file alone, without anybody in it: what a pair of daemons must be able to do at any time. */
  async armBare(destinationImage: string): Promise<MigrateRequest> {
    const { uri, token } = await this.pair.destination.api.incoming({
      listen: 'tcp:127.0.0.1:0',
      blocks: [{ id: BLOCK_ID, path: destinationImage, create: true }],
      guest: { type: 'none' },
      parameters: PATIENT_TIMES,
    });
    this.pair.proxy.forwardTo(uri);
    return {
      uri: this.pair.proxy.uri,
      token,
      blocks: [{ id: BLOCK_ID, path: this.sourceImage }],
      guest: { type: 'none' },
      parameters: { ...PATIENT_TIMES, ...PATIENT_SOURCE_TIMES },
    };
  }

  #writeOldFile(): void {
    const { initial, oldFile } = this.plan;
    switch (oldFile) {
      case 'absent':
        break;
      case 'other':
        writeInitialImage(
          this.destinationImage,
          { ...initial, seed: initial.seed + 1, zeroShare: 0 },
          'written',
        );
        break;
      case 'old-copy':
        writeInitialImage(this.destinationImage, initial, 'written');
        break;
      case 'sparse':
        writeFileSync(this.destinationImage, '');
        truncateSync(this.destinationImage, initial.sizeBytes);
        break;
    }
  }
}
