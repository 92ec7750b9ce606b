/**
 * What is done to the files of a run from outside, and how it is made good before the next attempt.
 *
 * A guest whose image is truncated loses that memory to the fault itself, whoever runs it: pages behind the cut are not
 * counted as wrong, and where the guest stayed it is given its memory back. Everything before the cut must be right.
 * A guest that has moved onto a full file system may end there when it writes, with all of its memory.
 */
import { existsSync, linkSync, renameSync, truncateSync } from 'node:fs';
import { eventually, processState, signalIfThere } from '@pageferry/scripts/harness';
import { PAGE_BYTES, writeInitialImage, type InitialImage } from '@pageferry/scripts';
import type { Workload } from '../workload.ts';
import type { SmallFileSystem } from './small-file-system.ts';

export interface DamageOptions {
  readonly sourceImage: string;
  readonly destinationImage: string;
  readonly initial: InitialImage;
  readonly workload: Workload;
  readonly smallFileSystem: SmallFileSystem | undefined;
}

export class ImageDamage {
  readonly #options: DamageOptions;
  readonly #keptPath: string;
  #isSourceTruncated = false;
  #isSourceReplaced = false;
  #isFull = false;
  #lostFromPage: number | undefined;

  constructor(options: DamageOptions) {
    this.#options = options;
    this.#keptPath = `${options.sourceImage}.kept`;
  }

  /** First page that a fault may have cost the guest; undefined if it can have cost none. */
  get lostFromPage(): number | undefined {
    return this.#lostFromPage;
  }

  /** Whether the guest may end at the destination although nothing went wrong with its migration. */
  get isDeadly(): boolean {
    return this.#isFull || this.#lostFromPage !== undefined;
  }

  /** Whether the files at the two paths may differ at the handover although nothing went wrong. */
  get isComparisonMoot(): boolean {
    return this.#isSourceReplaced || this.#lostFromPage !== undefined;
  }

  truncateSource(share: number): void {
    this.#isSourceTruncated = true;
    this.#truncate(this.#options.sourceImage, share);
    this.#lostFromPage = this.#pageAt(share);
  }

  /** `isHarmful`: nobody looks at the file any more before the guest has it. */
  truncateDestination(share: number, isHarmful: boolean): boolean {
    if (!existsSync(this.#options.destinationImage)) return false;
    this.#truncate(this.#options.destinationImage, share);
    if (isHarmful) this.#lostFromPage = this.#pageAt(share);
    return true;
  }

  /** No page of the destination's file that is a hole can be written any more. */
  fillDestination(): boolean {
    this.#options.smallFileSystem?.fill();
    this.#isFull = this.#options.smallFileSystem !== undefined;
    return this.#isFull;
  }

  /** Another file takes the path; the guest keeps the one that it has open. */
  replaceSource(): void {
    const { sourceImage, initial } = this.#options;
    const otherPath = `${sourceImage}.other`;
    linkSync(sourceImage, this.#keptPath);
    writeInitialImage(otherPath, { ...initial, seed: initial.seed + 7 }, 'written');
    renameSync(otherPath, sourceImage);
    this.#isSourceReplaced = true;
  }

  /** Files have their sizes and names again; `guestPid`, where the guest is at the source: its memory is what it wrote. */
  async mend(guestPid: number | undefined): Promise<void> {
    const { sourceImage, destinationImage, initial, smallFileSystem } = this.#options;
    smallFileSystem?.free();
    if (this.#isSourceReplaced) renameSync(this.#keptPath, sourceImage);
    this.#isSourceReplaced = false;
    if (this.#isSourceTruncated) await this.#mendSource(guestPid);
    this.#isSourceTruncated = false;
    if (existsSync(destinationImage)) truncateSync(destinationImage, initial.sizeBytes);
  }

  /** From here on nothing is lost any more. */
  forgive(): void {
    this.#isFull = false;
    this.#lostFromPage = undefined;
  }

  async #mendSource(guestPid: number | undefined): Promise<void> {
    const { sourceImage, initial, workload } = this.#options;
    if (guestPid === undefined) {
      truncateSync(sourceImage, initial.sizeBytes);
      return;
    }
    signalIfThere(guestPid, 'SIGSTOP');
    await eventually('the guest to stop', () => (processState(guestPid) === 'T' ? true : undefined));
    await workload.restore(sourceImage);
    signalIfThere(guestPid, 'SIGCONT');
  }

  #truncate(path: string, share: number): void {
    truncateSync(path, Math.floor(share * this.#options.initial.sizeBytes));
  }

  #pageAt(share: number): number {
    return Math.floor((share * this.#options.initial.sizeBytes) / PAGE_BYTES);
  }
}
