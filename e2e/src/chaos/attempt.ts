/**
 * The attempt that a fault befalls: the migration is accepted or refused, comes to the moment or ends before it, is
 * struck, and daemons that were killed come back.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { eventually, guarded, type MigrateRequest } from '@pageferry/scripts/harness';
import type { Hold } from '../hold.ts';
import { Meddler } from './meddler.ts';
import { PRE_SWITCHOVER, type Moment } from './moment.ts';
import type { Side } from '../daemon-pair.ts';
import type { Parties } from './parties.ts';
import type { ChaosPlan } from './plan.ts';
import { Striker, type HasHappened } from './strike.ts';

/** A restarted daemon is waited for this much longer where restarts are late. */
const LATE_MS = 1500;

const never: HasHappened = () => false;

export class Attempt {
  readonly #parties: Parties;
  readonly #request: MigrateRequest;
  #hasStruck = never;
  #hasStruckAgain = never;
  #answer: 'pending' | 'accepted' | Error = 'pending';
  changeCount = 0;

  constructor(parties: Parties, request: MigrateRequest) {
    this.#parties = parties;
    this.#request = request;
  }

  /** Whether the fault of the plan befell the migration. */
  get hasStruck(): boolean {
    return this.#hasStruck();
  }

  /** Whether the second one did. */
  get hasStruckAgain(): boolean {
    return this.#hasStruckAgain();
  }

  /** Starts it and does what the plan says. Resolves with why it was refused, with undefined if it was accepted. */
  async carryOut(): Promise<Error | undefined> {
    const { pair, plan } = this.#parties;
    const { moment } = plan;
    const hold =
      moment === undefined || moment.place === PRE_SWITCHOVER ? undefined : pair.proxy.holdAt(moment.place);
    const gate = this.#gateBefore(moment);
    const answered = this.#start();
    if (moment === undefined) await this.#meddle(answered);
    else if (await this.#comesTo(moment, hold, gate)) await this.#befall(moment, hold);
    await guarded('the answer to POST /migrate', answered);
    return this.#answer instanceof Error ? this.#answer : undefined;
  }

  async #start(): Promise<void> {
    try {
      await this.#parties.pair.source.api.migrate(this.#request);
      this.#answer = 'accepted';
    } catch (error) {
      this.#answer = error instanceof Error ? error : new Error(String(error));
    }
  }

  async #meddle(answered: Promise<void>): Promise<void> {
    await answered;
    if (this.#answer !== 'accepted') return;
    const { pair, plan } = this.#parties;
    this.changeCount = await new Meddler(pair.source.api, pair.destination.api).makeChanges(plan.changes);
  }

  /** Pages of a later round are only sent if the guest writes before it: the round before is kept from ending. */
  #gateBefore(moment: Moment | undefined): Hold | undefined {
    if (moment === undefined || moment.place === PRE_SWITCHOVER) return undefined;
    const { name, round } = moment.place;
    if (name !== 'pages' || round === undefined || round === 0) return undefined;
    return this.#parties.pair.proxy.holdAt({ name: 'round-result', round: round - 1 });
  }

  /** False if the migration is over, or was never begun, before the moment. */
  async #comesTo(moment: Moment, hold: Hold | undefined, gate: Hold | undefined): Promise<boolean> {
    if (gate !== undefined) {
      if (!(await this.#untilThereOrOver(() => gate.hasArrived))) return false;
      await this.#parties.workload.untilItWrites();
      gate.release();
    }
    return this.#untilThereOrOver(async () => {
      if (moment.place !== PRE_SWITCHOVER) return hold?.hasArrived === true;
      const { status } = await this.#parties.pair.source.api.status();
      return this.#answer === 'accepted' && status === PRE_SWITCHOVER;
    });
  }

  async #untilThereOrOver(isThere: () => boolean | Promise<boolean>): Promise<boolean> {
    const { isHere } = await eventually('the moment', async () => {
      if (await isThere()) return { isHere: true };
      return (await this.#isOver()) ? { isHere: await isThere() } : undefined;
    });
    return isHere;
  }

  async #isOver(): Promise<boolean> {
    if (this.#answer === 'pending') return false;
    if (this.#answer !== 'accepted') return true;
    const { status } = await this.#parties.pair.source.api.status();
    return ['completed', 'failed', 'cancelled'].includes(status);
  }

  async #befall(moment: Moment, hold: Hold | undefined): Promise<void> {
    const { pair, plan, damage, workload } = this.#parties;
    const striker = new Striker(pair, plan, damage);
    if (!moment.isHeld) hold?.release();
    await pause(moment.strikeAfterMs);
    this.#hasStruck = await striker.strike(plan.fault);
    if (plan.restart === 'at-once') await this.#restart();
    await pause(moment.releaseAfterMs);
    hold?.release();
    if (plan.second !== undefined) {
      await pause(plan.second.afterMs);
      this.#hasStruckAgain = await striker.strike(plan.second.fault);
    }
    if (plan.restart === 'late') await pause(LATE_MS);
    if (isLeftToGuard(plan, moment)) await workload.untilItWrites();
    await this.#restart();
  }

  async #restart(): Promise<void> {
    const { pair, plan } = this.#parties;
    const order: readonly Side[] = plan.isSourceFirst ? ['source', 'destination'] : ['destination', 'source'];
    await pair.startWhatIsDown(order, async () => plan.restart === 'late' && pause(LATE_MS));
  }
}

/** Whether the guest has nobody but the guard, which lets it run: its daemon is dead, and was not to commit. */
function isLeftToGuard({ fault, second, restart }: ChaosPlan, { phase, isHeld }: Moment): boolean {
  const isGuardThere = second?.fault !== 'kill-guard';
  const isBeforeCommit = isHeld && phase !== 'commit' && phase !== 'running';
  return fault === 'kill-source-daemon' && restart !== 'at-once' && isGuardThere && isBeforeCommit;
}
