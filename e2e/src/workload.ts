/**
 * The guest: one seeded workload with an instance at each side, and what its log, its verdict file and the images prove.
 *
 * Nothing here asks a daemon. The destination's command first compares the two images with cmp, while the source's
 * instance is stopped, and only then executes the workload, which checks every page against the log before it writes.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  checkLog,
  lanesOf,
  replayAndCompare,
  restoreImage,
  type InitialImage,
  type Mismatches,
  type Replay,
  type WorkloadPlan,
} from '@pageferry/scripts';
import {
  Child,
  eventually,
  processState,
  programPath,
  signalIfThere,
  untilGone,
  type Surroundings,
} from '@pageferry/scripts/harness';

const PROGRAM = programPath('scripts/dist/src/guest-workload.js');
/** Compares $1 with $2, writes the verdict to $3, becomes the rest. */
const COMPARE_THEN_RUN =
  'cmp "$1" "$2" >"$3.new" 2>&1 && echo identical >"$3.new"; mv "$3.new" "$3"; shift 3; exec "$@"';

export interface WorkloadOptions {
  readonly program: WorkloadPlan['program'];
  readonly seed: number;
  readonly ratePerSecond: number;
  readonly docsRatePerSecond: number;
  readonly zeroShare: number;
  /** Writes through a shared mapping rather than with pwrite. */
  readonly isMapped?: boolean;
}

export class Workload {
  readonly logPath: string;
  readonly #verdictPath: string;
  readonly #options: WorkloadOptions;
  readonly #initial: InitialImage;

  /** `initial`: the image that the source's instance begins with. */
  constructor(directory: string, options: WorkloadOptions, initial: InitialImage) {
    this.logPath = join(directory, 'operations.log');
    this.#verdictPath = join(directory, 'cmp.verdict');
    this.#options = options;
    this.#initial = initial;
  }

  /** Starts the source's instance; resolves when it writes. */
  async startAtSource(imagePath: string, surroundings: Surroundings = {}): Promise<Child> {
    const args = this.#arguments(imagePath, 'source', 'fresh');
    const child = await Child.start(PROGRAM, args, true, surroundings);
    await child.line('the word running', (line) => (line === 'running' ? true : undefined));
    await this.untilItWrites();
    return child;
  }

  /** The destination daemon's command for its instance. */
  destinationCommand(sourceImagePath: string, imagePath: string): readonly string[] {
    const run = [process.execPath, PROGRAM, ...this.#arguments(imagePath, 'destination', 'continue')];
    return ['/bin/sh', '-c', COMPARE_THEN_RUN, 'cmp', sourceImagePath, imagePath, this.#verdictPath, ...run];
  }

  /** Operations in the log, of all instances. */
  operationCount(): number {
    return this.#lines().filter((line) => / (docs|random) /.test(line)).length;
  }

  /** Operations of one instance. */
  operationCountOf(instance: 'source' | 'destination'): number {
    return this.#lines().filter((line) => new RegExp(`^${instance} (docs|random) `).test(line)).length;
  }

  /** Process of the destination's instance, once it ran. */
  get destinationPid(): number | undefined {
    const line = this.#lines().find((candidate) => candidate.startsWith('destination start '));
    return line === undefined ? undefined : Number(line.split(' ')[2]);
  }

  /** Resolves when the guest, wherever it is, has done another operation. */
  async untilItWrites(): Promise<void> {
    const before = this.operationCount();
    await eventually(
      'another operation of the guest',
      () => (this.operationCount() > before ? true : undefined),
      () => this.#lines().slice(-3).join('\n'),
    );
  }

  /** Why the instance at the destination did not begin: it found another memory than was left. */
  get destinationFailure(): string | undefined {
    return this.#lines().find((line) => line.startsWith('destination failed'));
  }

  /** Resolves when the instance at the destination has begun to write. */
  async untilItWritesAtDestination(): Promise<void> {
    await eventually(
      'an operation of the guest at the destination',
      () => {
        const failure = this.destinationFailure;
        if (failure !== undefined) throw new Error(failure);
        return this.operationCountOf('destination') > 0 ? true : undefined;
      },
      () => this.#lines().slice(-3).join('\n'),
    );
  }

  /** What cmp said of the two images at the handover; undefined before. */
  get verdict(): string | undefined {
    return existsSync(this.#verdictPath) ? readFileSync(this.#verdictPath, 'utf8').trim() : undefined;
  }

  /** Ends the destination's instance. */
  async stopAtDestination(): Promise<void> {
    const pid = this.destinationPid;
    if (pid === undefined || processState(pid) === undefined) return;
    signalIfThere(pid, 'SIGTERM');
    await untilGone(pid);
  }

  /**
   * The oracle, once the guest has ended: replays the seed to the last operation of the log and compares with the image.
   * In words what is wrong; empty if nothing is.
   */
  async findProblems(imagePath: string): Promise<readonly string[]> {
    const mismatches = await this.findMismatches(imagePath);
    return [
      ...(await this.findLogProblems()),
      ...mismatches.map(({ page, reason }) => `page ${page}: ${reason}`),
    ];
  }

  /** What is wrong with the log: doubles, operations that are missing, an instance that found a wrong image. */
  async findLogProblems(): Promise<readonly string[]> {
    return (await checkLog(this.logPath)).problems;
  }

  /** Pages of a guest that is stopped or has ended which are not what the log says. */
  async findMismatches(imagePath: string): Promise<Mismatches> {
    return replayAndCompare(imagePath, await this.#replay());
  }

  /** Gives a stopped guest its memory back, after the file was damaged from outside. */
  async restore(imagePath: string): Promise<void> {
    restoreImage(imagePath, await this.#replay());
  }

  async #replay(): Promise<Replay> {
    const { lastOperations } = await checkLog(this.logPath);
    return { initial: this.#initial, lanes: lanesOf(this.#plan), lastOperations };
  }

  get #plan(): WorkloadPlan {
    const { program, seed, zeroShare } = this.#options;
    return { program, seed, zeroShare, range: { first: 0, count: this.#initial.sizeBytes / 4096 } };
  }

  #lines(): readonly string[] {
    if (!existsSync(this.logPath)) return [];
    return readFileSync(this.logPath, 'latin1').split('\n').slice(0, -1);
  }

  #arguments(image: string, instance: string, startAt: 'fresh' | 'continue'): readonly string[] {
    const { program, seed, ratePerSecond, docsRatePerSecond, zeroShare, isMapped = false } = this.#options;
    const values = {
      image,
      program,
      seed,
      rate: ratePerSecond,
      'docs-rate': docsRatePerSecond,
      'zero-share': zeroShare,
      'write-with': isMapped ? 'mapping' : 'pwrite',
      log: this.logPath,
      instance,
      'start-at': startAt,
      'initial-seed': this.#initial.seed,
      'initial-zero-share': this.#initial.zeroShare,
      verify: 'all',
    };
    return Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)]);
  }
}
