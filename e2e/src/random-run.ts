/**
 * One randomised run: a new guest moves while it writes and while its operator meddles, and the outside oracle says
 * whether all of its memory came along, once. Nothing in here is left to chance but the machine's timing.
 */
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MigrationStatus } from '@pageferry/protocol';
import { writeInitialImage } from '@pageferry/scripts';
import { processState, RefusedError, type Child } from '@pageferry/scripts/harness';
import type { DaemonPair } from './daemon-pair.ts';
import { Meddler } from './meddler.ts';
import { randomPlan, type RandomPlan } from './random-plan.ts';
import { BLOCK_ID, GUEST_COMMAND } from './rig.ts';
import { Workload } from './workload.ts';
import { WriteSamples } from './write-samples.ts';

/** What came of a run. */
export interface RandomResult {
  readonly plan: RandomPlan;
  /** In words what is wrong; empty if the run ended as it must. */
  readonly problems: readonly string[];
  /** Operations in the last second before the pause, and pages in the final round: without either it proves little. */
  readonly writtenLast: number;
  readonly finalPages: number;
  readonly wasCancelled: boolean;
  readonly changeCount: number;
  readonly ms: number;
  readonly status: MigrationStatus | undefined;
}

/** Runs the plan of a seed. Does not throw: what goes wrong is a problem of the result. */
export async function runRandom(pair: DaemonPair, seed: number): Promise<RandomResult> {
  const plan = randomPlan(seed);
  const startMs = performance.now();
  const directory = join(pair.directory, `run-${seed}`);
  mkdirSync(directory);
  const run = new RandomRun(pair, plan, directory);
  try {
    await run.migrate();
    const problems = await run.findProblems();
    return { plan, problems, ms: performance.now() - startMs, ...run.facts() };
  } catch (error) {
    const problems = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
    return { plan, problems, ms: performance.now() - startMs, ...run.facts() };
  } finally {
    await run.end();
    rmSync(directory, { recursive: true });
  }
}

class RandomRun {
  readonly #pair: DaemonPair;
  readonly #plan: RandomPlan;
  readonly #sourceImage: string;
  readonly #destinationImage: string;
  readonly #workload: Workload;
  #guest: Child | undefined;
  #samples: WriteSamples | undefined;
  #status: MigrationStatus | undefined;
  #wasCancelled = false;
  #changeCount = 0;
  #writtenLast = 0;

  constructor(pair: DaemonPair, plan: RandomPlan, directory: string) {
    this.#pair = pair;
    this.#plan = plan;
    this.#sourceImage = join(directory, 'source.ram');
    this.#destinationImage = join(directory, 'destination.ram');
    this.#workload = new Workload(directory, plan.workload, plan.initial);
  }

  async migrate(): Promise<void> {
    const { initial, zeros, oldFile, cancelAfter } = this.#plan;
    const command = this.#workload.destinationCommand(this.#sourceImage, this.#destinationImage);
    this.#pair.setGuestCommand(command);
    writeInitialImage(this.#sourceImage, initial, zeros);
    this.#writeOldFile();
    this.#guest = await this.#workload.startAtSource(this.#sourceImage);
    this.#samples = new WriteSamples(this.#workload.logPath);
    let status = await this.#attempt(this.#guest.pid, oldFile === 'absent', cancelAfter);
    if (status.status === 'cancelled' && cancelAfter !== undefined) {
      this.#wasCancelled = true;
      await this.#pair.destination.api.untilOver();
      await this.#workload.untilItWrites();
      status = await this.#attempt(this.#guest.pid, false, undefined);
    }
    this.#status = status;
  }

  /** What the oracle and the status have against the run. */
  async findProblems(): Promise<readonly string[]> {
    const { status, 'error-desc': error, pageferry } = this.#status ?? (await this.#pair.source.api.status());
    if (status !== 'completed') return [`it ended ${status}: ${error}`];
    await this.#workload.untilItWritesAtDestination();
    this.#writtenLast = this.#samples?.lastSecond() ?? 0;
    await this.#workload.stopAtDestination();
    const { verdict } = this.#workload;
    const isReread = pageferry.verified.includes('destination-reread');
    return [
      ...(verdict === 'identical' ? [] : [`cmp at the handover: ${verdict}`]),
      ...(processState(this.#guest?.pid ?? 0) === 'T' ? [] : ['the guest is not stopped at the source']),
      ...(isReread === this.#plan.parameters['destination-reread'] ? [] : ['it was not reread as asked for']),
      ...(await this.#workload.findProblems(this.#destinationImage)),
    ];
  }

  facts(): Pick<RandomResult, 'writtenLast' | 'finalPages' | 'wasCancelled' | 'changeCount' | 'status'> {
    const final = this.#status?.pageferry.rounds.at(-1);
    const finalPages = final?.final === true ? final.normal + final.duplicate + final['xbzrle-pages'] : 0;
    return {
      writtenLast: this.#writtenLast,
      finalPages,
      wasCancelled: this.#wasCancelled,
      changeCount: this.#changeCount,
      status: this.#status,
    };
  }

  async end(): Promise<void> {
    this.#samples?.end();
    await this.#guest?.end('SIGKILL');
    await this.#workload.stopAtDestination();
  }

  /** One migration to its end, whatever that is; meddled with as the plan says. */
  async #attempt(pid: number, isNewFile: boolean, cancelAfter: number | undefined): Promise<MigrationStatus> {
    const { source, destination } = this.#pair;
    const { xbzrle, parameters, cacheCeilingBytes, changes } = this.#plan;
    const { uri, token } = await destination.api.incoming({
      listen: 'tcp:127.0.0.1:0',
      blocks: [{ id: BLOCK_ID, path: this.#destinationImage, create: isNewFile }],
      guest: { type: 'process', command: GUEST_COMMAND },
      'xbzrle-cache-size': cacheCeilingBytes,
    });
    await source.api.migrate({
      uri,
      token,
      blocks: [{ id: BLOCK_ID, path: this.#sourceImage }],
      guest: { type: 'process', pid },
      capabilities: { xbzrle },
      parameters: { ...parameters, 'on-no-convergence': 'switchover' },
    });
    const meddler = new Meddler(source.api, destination.api);
    const cancelling = cancelAfter === undefined ? undefined : this.#cancelAfter(meddler, cancelAfter);
    this.#changeCount += await meddler.makeChanges(changes);
    await cancelling;
    return source.api.untilOver();
  }

  async #cancelAfter(meddler: Meddler, stepCount: number): Promise<void> {
    if (!(await meddler.waitForSteps(stepCount))) return;
    try {
      await this.#pair.source.api.cancel();
    } catch (error) {
      // The commit, or the end, was faster.
      const isTooLate = error instanceof RefusedError && error.problem.status === 409;
      if (!isTooLate) throw error;
    }
  }

  #writeOldFile(): void {
    const { initial, oldFile } = this.#plan;
    switch (oldFile) {
      case 'absent':
        break;
      case 'other':
        writeInitialImage(
          this.#destinationImage,
          { ...initial, seed: initial.seed + 1, zeroShare: 0 },
          'written',
        );
        break;
      case 'old-copy':
        writeInitialImage(this.#destinationImage, initial, 'written');
        break;
      case 'sparse':
        writeFileSync(this.#destinationImage, '');
        truncateSync(this.#destinationImage, initial.sizeBytes);
        break;
    }
  }
}
