/**
 * One run: a new guest moves while it writes, something goes wrong at a moment of the seed's choosing, and when both
 * sides are at rest the outside oracle says where the guest is and whether it is whole. Then another attempt, without
 * a fault, must succeed. Nothing in here is left to chance but the machine's timing.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { MigrationStatus } from '@pageferry/protocol';
import type { Child } from '@pageferry/scripts/harness';
import { findStrayGuests, untilNoGuestAtDestination } from '../whereabouts.ts';
import { Attempt } from './attempt.ts';
import { findDifferences, findMoveProblems, siteOf } from './oracle.ts';
import type { DaemonPair } from '../daemon-pair.ts';
import { Parties } from './parties.ts';
import type { ChaosPlan } from './plan.ts';
import { untilAtRest, untilDisarmed, type Rest } from './rest.ts';
import { DoubleWatch } from './watch.ts';
import { WriteSamples } from '../write-samples.ts';

/** What the attempt under the fault came to; `by-hand`: the operator had to end it. */
export const OUTCOMES = ['completed', 'resumed', 'rolled-back', 'cancelled', 'refused', 'by-hand'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** What came of a run. */
export interface ChaosResult {
  readonly plan: ChaosPlan;
  /** In words what is wrong; empty if the run ended as it must. */
  readonly problems: readonly string[];
  readonly ms: number;
  /** Undefined if the run did not come that far. */
  readonly outcome: Outcome | undefined;
  readonly hasStruck: boolean;
  readonly hasStruckAgain: boolean;
  /** Why POST /migrate was refused, in its words. */
  readonly refusal: string | undefined;
  /** Phases of both sides when they had to be ended by hand. */
  readonly stuckIn: string | undefined;
  /** Operations in the last second before the pause, and pages in the final round: without either it proves little. */
  readonly writtenLast: number;
  readonly finalPages: number;
  readonly changeCount: number;
  /** The source's, of the migration that moved the guest. */
  readonly status: MigrationStatus | undefined;
}

/** Runs a plan. Does not throw: what goes wrong is a problem of the result. `keep` is called before files are removed. */
export async function runChaos(
  pair: DaemonPair,
  plan: ChaosPlan,
  keep: (result: ChaosResult, directory: string) => void,
): Promise<ChaosResult> {
  const startMs = performance.now();
  const directory = join(pair.directory, `run-${plan.seed}`);
  mkdirSync(directory);
  const run = new ChaosRun(new Parties(pair, plan, directory));
  let problems: readonly string[];
  try {
    problems = await run.go();
  } catch (error) {
    problems = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  }
  const result = { plan, problems, ms: performance.now() - startMs, ...run.facts() };
  if (problems.length > 0) keep(result, directory);
  await run.end();
  return result;
}

class ChaosRun {
  readonly #parties: Parties;
  #guest: Child | undefined;
  #samples: WriteSamples | undefined;
  #watch: DoubleWatch | undefined;
  #attempt: Attempt | undefined;
  #rest: Rest | undefined;
  #outcome: Outcome | undefined;
  #refusal: string | undefined;
  #status: MigrationStatus | undefined;
  #writtenLast = 0;
  #hasRetried = false;

  constructor(parties: Parties) {
    this.#parties = parties;
  }

  /** From the guest's start to the last proof. In words what is wrong; empty if nothing is. */
  async go(): Promise<readonly string[]> {
    const { pair, workload } = this.#parties;
    this.#parties.writeFiles();
    this.#guest = await workload.startAtSource(this.#parties.sourceImage);
    this.#samples = new WriteSamples(workload.logPath);
    this.#watch = new DoubleWatch(siteOf(this.#parties));
    const problems = await this.#suffer(this.#guest);
    if (problems.length > 0)
      return [...problems, ...this.#watch.end(), ...(await workload.findLogProblems())];
    if (this.#status === undefined) await this.#retry(this.#guest);
    const moved = await this.#judge(this.#guest);
    await pair.untilNothingIsLeftBehind();
    return [...moved, ...this.#watch.end()];
  }

  facts(): Omit<ChaosResult, 'plan' | 'problems' | 'ms'> {
    const final = this.#status?.pageferry.rounds.at(-1);
    return {
      outcome: this.#outcome,
      hasStruck: this.#attempt?.hasStruck ?? false,
      hasStruckAgain: this.#attempt?.hasStruckAgain ?? false,
      refusal: this.#refusal,
      stuckIn: this.#rest?.stuckIn,
      writtenLast: this.#writtenLast,
      finalPages: final?.final === true ? final.normal + final.duplicate + final['xbzrle-pages'] : 0,
      changeCount: this.#attempt?.changeCount ?? 0,
      status: this.#status,
    };
  }

  async end(): Promise<void> {
    this.#samples?.end();
    this.#watch?.end();
    this.#parties.pair.proxy.calm();
    this.#parties.pair.smallFileSystem?.free();
    await this.#guest?.end('SIGKILL');
    await this.#parties.workload.stopAtDestination();
    this.#parties.removeFiles();
  }

  /** The attempt under the fault, to the rest after it. In words what is wrong with where the guest is said to be. */
  async #suffer(guest: Child): Promise<readonly string[]> {
    const { pair, plan, damage } = this.#parties;
    const { proxy } = pair;
    const resumesBefore = proxy.resumeCount;
    const earlierId = (await pair.source.api.status()).pageferry['migration-id'];
    const request = await this.#parties.arm(guest.pid, plan.oldFile === 'absent', plan.moment === undefined);
    this.#attempt = new Attempt(this.#parties, request);
    this.#refusal = (await this.#attempt.carryOut())?.message;
    const rest = await untilAtRest(pair);
    this.#rest = rest;
    proxy.calm();
    const isMoved = isCompleted(rest.source, earlierId);
    const isResumed = proxy.resumeCount > resumesBefore;
    this.#outcome = outcomeOf(rest, isMoved, isResumed, this.#refusal !== undefined);
    if (isMoved !== isCompleted(rest.destination, earlierId))
      return [`the source is ${rest.source.status}, the destination is ${rest.destination.status}`];
    if (isMoved) {
      this.#status = rest.source;
      return [];
    }
    await damage.mend(guest.pid);
    damage.forgive();
    await untilNoGuestAtDestination(siteOf(this.#parties));
    return findStrayGuests(siteOf(this.#parties), 'source');
  }

  /** The guest has stayed: it moves now. @throws Error if it does not */
  async #retry(guest: Child): Promise<void> {
    const { pair, workload } = this.#parties;
    await untilDisarmed(pair);
    await workload.untilItWrites();
    this.#hasRetried = true;
    const isNewFile = !this.#parties.hasDestinationFile;
    await pair.source.api.migrate(await this.#parties.arm(guest.pid, isNewFile, true));
    await pair.source.api.until('the end or the pause of the retry', ({ status }) =>
      ['pre-switchover', 'completed'].includes(status),
    );
    if (this.#parties.plan.pauseBeforeSwitchover) await pair.source.api.continue();
    this.#status = await pair.source.api.until('completion', ({ status }) => status === 'completed');
  }

  /** The guest has moved: it is whole and alone, and the daemons are fit for another migration. */
  async #judge(guest: Child): Promise<readonly string[]> {
    const problems = await findMoveProblems(this.#parties, guest.pid);
    this.#writtenLast = this.#samples?.lastSecond() ?? 0;
    if (problems.length > 0) return problems;
    await this.#parties.damage.mend(undefined);
    return this.#hasRetried ? [] : this.#findUnfitness();
  }

  async #findUnfitness(): Promise<readonly string[]> {
    const { pair, directory, sourceImage } = this.#parties;
    const copy = join(directory, 'copy.ram');
    await pair.source.api.migrate(await this.#parties.armBare(copy));
    await pair.source.api.until('the end of a migration after it', ({ status }) => status === 'completed');
    return findDifferences(sourceImage, copy);
  }
}

/** Whether it is this run's migration that has completed; an earlier one's status stays until another is accepted. */
function isCompleted({ status, pageferry }: MigrationStatus, earlierId: string | undefined): boolean {
  return status === 'completed' && pageferry['migration-id'] !== earlierId;
}

function outcomeOf(
  { source, stuckIn }: Rest,
  isMoved: boolean,
  isResumed: boolean,
  isRefused: boolean,
): Outcome {
  if (stuckIn !== undefined) return 'by-hand';
  if (isMoved) return isResumed ? 'resumed' : 'completed';
  if (isRefused) return 'refused';
  return source.status === 'cancelled' ? 'cancelled' : 'rolled-back';
}
