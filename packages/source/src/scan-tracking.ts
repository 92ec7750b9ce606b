/**
 * Pages by scanning, each round, or, where there is no guest, not at all as long as leases say that nobody can write
 * (leases.ts).
 */
import type { RoundScope } from '@pageferry/memory';
import type { TrackerStatus } from '@pageferry/protocol';
import type { Leases } from './leases.ts';
import type { TrackedGuest, Tracking } from './tracking.ts';

export class ScanTracking implements Tracking {
  readonly mayOmitFinalScan = false;
  readonly #leases: Leases | undefined;

  /** `leases`: where no guest has the images open. */
  constructor(leases: Leases | undefined) {
    this.#leases = leases;
  }

  get status(): TrackerStatus {
    const scan = { requested: 'scan', type: 'scan', 'final-scan': true } as const;
    if (this.#leases === undefined) return scan;
    const { problem, areProof } = this.#leases.state;
    if (problem !== undefined) return { ...scan, 'failed-conditions': [problem] };
    const reason = 'leases on the images tell if anybody opens them for writing';
    return { requested: 'scan', type: 'lease', reason, 'final-scan': !areProof, 'failed-conditions': [] };
  }

  async prepare(): Promise<void> {}

  async startAttempt({ images }: TrackedGuest): Promise<void> {
    this.#leases?.take(images);
  }

  get scope(): RoundScope {
    return this.#leases?.areProof === true ? 'nothing' : 'everything';
  }

  get finalScope(): RoundScope {
    return this.scope;
  }

  takeWatched(): undefined {
    return undefined;
  }

  roundEnded(_round: number, scope: RoundScope): void {
    if (scope === 'everything') this.#leases?.scanned();
  }

  async checkConditions(): Promise<RoundScope> {
    return this.finalScope;
  }

  finalDecided(): void {
    this.#leases?.release();
  }

  release(): void {
    this.#leases?.release();
  }
}
