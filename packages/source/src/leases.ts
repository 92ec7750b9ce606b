/**
 * Leases on all images of a guest that nobody runs: the kernel's word that no page is written after it was read.
 *
 * Invariant: a round is about nothing only after a round of this attempt that was about everything and began under these
 * leases, and only as long as every one of them is held. One that is broken is released at once, because whoever wants to
 * write waits for it; from then on everything is scanned, as without leases.
 */
import { ImageLease, type WatchedImage } from '@pageferry/memory';
import { system } from '@pageferry/transport';
import type { Logger } from 'pino';

/** How often it is looked whether somebody waits to open an image for writing. */
const LOOK_INTERVAL_MS = 20;

/** Whether leases take the place of a scan, and why not. */
export interface LeaseState {
  /** Why there are none, in words. */
  readonly problem: string | undefined;
  /** Nobody has written to any image since it was read. */
  readonly areProof: boolean;
}

export class Leases {
  readonly #logger: Logger;
  /** None, or one for each image. */
  #leases: readonly ImageLease[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** A round about everything began after they were taken, and has ended. */
  #isScanned = false;
  /** As it was when the leases were let go. */
  #last: LeaseState = { problem: 'not taken yet', areProof: false };

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Of the leases that are held, looked at now; only they prove anything. */
  get areProof(): boolean {
    this.#look();
    return this.#leases.length > 0 && this.#isScanned;
  }

  /** To be shown: after the leases were let go, as it was then. */
  get state(): LeaseState {
    this.#look();
    return this.#leases.length > 0 ? { problem: undefined, areProof: this.#isScanned } : this.#last;
  }

  /** Takes them all or none, in the place of those that are held. */
  take(images: readonly WatchedImage[]): void {
    this.release();
    this.#isScanned = false;
    const taken: ImageLease[] = [];
    const problem = takeAll(images, taken);
    this.#leases = taken;
    if (problem === undefined) this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL_MS).unref();
    else this.#giveUp(problem);
  }

  /** A round about everything has ended. */
  scanned(): void {
    this.#isScanned = true;
  }

  /** Lets whoever waits for an image go on. */
  release(): void {
    if (this.#leases.length === 0) return;
    this.#last = { problem: undefined, areProof: this.#isScanned };
    clearInterval(this.#timer);
    for (const lease of this.#leases) lease.release();
    this.#leases = [];
  }

  #look(): void {
    const broken = this.#leases.find((lease) => !lease.isHeld);
    if (broken !== undefined) this.#giveUp(`${broken.path}: a process opened it for writing`);
  }

  #giveUp(problem: string): void {
    this.release();
    this.#last = { problem, areProof: false };
    this.#logger.info(
      { reason: problem },
      'no lease keeps writers out: everything is scanned after the pause',
    );
  }
}

/** Adds to `taken`; in words why not for all. */
function takeAll(images: readonly WatchedImage[], taken: ImageLease[]): string | undefined {
  try {
    for (const image of images) {
      const lease = ImageLease.take({ image, calls: system });
      if (typeof lease === 'string') return lease;
      taken.push(lease);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error.message;
  }
}
