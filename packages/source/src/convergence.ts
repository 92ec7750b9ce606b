/**
 * Whether to go on with rounds, pause the guest, or give up: a pure function of what was measured and the policy.
 *
 * The predicted pause is what the guest will feel: final scan, its pages on the wire, device state, journal,
 * round trips. The dirtied pages of the final round are those of the last round, scaled up if that round took
 * longer than the one whose writes it found; never scaled down, since a working set that is written over and
 * over is found whole however short the time was. So a prediction errs towards one more round.
 */

/** What the last round and the ones before it have shown. Milliseconds, bytes, pages. */
export interface Measured {
  /** The round that has just ended; 0 is the bulk stage. */
  readonly round: number;
  /** Nobody writes: there is no guest that we know of, or it was paused before. */
  readonly isGuestStopped: boolean;
  readonly changedPages: number;
  readonly wireBytes: number;
  readonly roundMs: number;
  /** Duration of the round before: the time in which these pages were written. */
  readonly previousRoundMs: number;
  /** The shortest full scan of this migration so far. */
  readonly scanMs: number;
  /** Best throughput so far, or the cap if that is lower (as in QEMU); bytes/s. */
  readonly bandwidth: number;
  readonly deviceStateMs: number;
  readonly journalMs: number;
  readonly roundTripMs: number;
  /** Time for the destination to digest its files again in the pause; 0 without `destination-reread`. */
  readonly rereadMs: number;
}

export interface Policy {
  readonly downtimeLimitMs: number;
  readonly minRounds: number;
  readonly maxRounds: number;
  readonly onNoConvergence: 'cancel' | 'switchover';
}

/** The predicted pause by part, milliseconds. */
export interface Prediction {
  readonly totalMs: number;
  readonly wireMs: number;
  /** With the destination's reread. */
  readonly scanMs: number;
  readonly deviceStateMs: number;
  readonly journalMs: number;
  readonly roundTripsMs: number;
}

export interface Decision {
  readonly action: 'continue' | 'switchover' | 'give-up';
  /** The reason in words, for the operator. */
  readonly because: string;
  readonly predicted: Prediction;
}

/** Rounds of scanning for the wire's sake alone are over when the wire's part is below this share of the pause. */
const NEGLIGIBLE_SHARE = 0.1;
/** Before this round a long scan may be a passing disturbance of the host. */
const HOPELESS_FROM_ROUND = 3;
/** Round trips in the pause: handover and ready, commit and running. */
const ROUND_TRIP_COUNT = 2;
/** Without a measured round trip or bandwidth, figures that do not decide anything by themselves. */
const LEAST_BANDWIDTH = 1;

export function predict(measured: Measured): Prediction {
  const growth = measured.previousRoundMs > 0 ? Math.max(1, measured.roundMs / measured.previousRoundMs) : 1;
  const bytesPerMs = Math.max(measured.bandwidth, LEAST_BANDWIDTH) / 1000;
  const wireMs = (measured.wireBytes * growth) / bytesPerMs;
  const scanMs = measured.scanMs + measured.rereadMs;
  const { deviceStateMs, journalMs } = measured;
  const roundTripsMs = measured.roundTripMs * ROUND_TRIP_COUNT;
  const totalMs = wireMs + scanMs + deviceStateMs + journalMs + roundTripsMs;
  return { totalMs, wireMs, scanMs, deviceStateMs, journalMs, roundTripsMs };
}

/** Decides after a round. After the bulk stage of a running guest it goes on: nothing is known of its writes yet. */
export function decide(measured: Measured, policy: Policy): Decision {
  const predicted = predict(measured);
  const { round } = measured;
  const pause = `${predicted.totalMs.toFixed(0)} ms`;
  const limit = `downtime-limit ${policy.downtimeLimitMs} ms`;
  if (round < policy.minRounds) {
    return {
      action: 'continue',
      because: `round ${round} of at least ${policy.minRounds} (min-rounds)`,
      predicted,
    };
  }
  if (measured.isGuestStopped) {
    const because = 'nobody runs in this memory, so nobody feels a pause';
    // What is left to send is what nobody has written.
    return { action: 'switchover', because, predicted: predict({ ...measured, wireBytes: 0 }) };
  }
  if (round === 0) {
    const because = 'the bulk stage is done; what the guest wrote meanwhile is not known';
    return { action: 'continue', because, predicted };
  }
  if (predicted.totalMs <= policy.downtimeLimitMs) {
    return { action: 'switchover', because: `the predicted pause is ${pause}, within ${limit}`, predicted };
  }
  const isHopeless =
    round >= HOPELESS_FROM_ROUND &&
    predicted.scanMs > policy.downtimeLimitMs &&
    predicted.wireMs < NEGLIGIBLE_SHARE * predicted.totalMs;
  if (!isHopeless && round < policy.maxRounds) {
    const because = `${measured.changedPages} pages changed in ${measured.previousRoundMs.toFixed(0)} ms: predicted pause ${pause}, ${limit}`;
    return { action: 'continue', because, predicted };
  }
  const why = isHopeless
    ? `${scanTakes(measured)} ${predicted.scanMs.toFixed(0)} ms, ${limit}: more rounds do not help`
    : `predicted pause still ${pause} after ${round} rounds (max-rounds), ${limit}`;
  return policy.onNoConvergence === 'switchover'
    ? { action: 'switchover', because: `${why}; on-no-convergence says switchover`, predicted }
    : { action: 'give-up', because: `${why}; on-no-convergence says cancel`, predicted };
}

function scanTakes({ rereadMs }: Measured): string {
  return rereadMs > 0 ? "the final scan and the destination's reread take" : 'the final scan alone takes';
}
