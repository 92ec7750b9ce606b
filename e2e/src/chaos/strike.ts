/** Does a fault, to whichever process, connection or file it is done. */
import { setTimeout as pause } from 'node:timers/promises';
import { RefusedError, signalIfThere, untilGone } from '@pageferry/scripts/harness';
import { guardPids } from '../whereabouts.ts';
import type { ImageDamage } from './damage.ts';
import { spoilOf, type ChaosPhase, type FaultName } from './fault.ts';
import type { DaemonPair, Side } from '../daemon-pair.ts';
import { PING_TIMEOUT_MS } from './parties.ts';
import type { ChaosPlan } from './plan.ts';

/** Whether the fault has happened; of a frame that is still to come this is known later. */
export type HasHappened = () => boolean;

const STALL_MS = { 'stall-short': PING_TIMEOUT_MS * 0.3, 'stall-long': PING_TIMEOUT_MS * 2 } as const;
const LATENCY_MOST_MS = 60;
const NETEM_MS = PING_TIMEOUT_MS * 2;
/** Time in which a slow reader takes the whole image. */
const SLOW_SECONDS = 1.5;
/** Phases after which the destination does not look at its file any more. */
const AFTER_REREAD: readonly ChaosPhase[] = ['ready', 'commit', 'running'];

export class Striker {
  readonly #pair: DaemonPair;
  readonly #plan: ChaosPlan;
  readonly #damage: ImageDamage;

  constructor(pair: DaemonPair, plan: ChaosPlan, damage: ImageDamage) {
    this.#pair = pair;
    this.#plan = plan;
    this.#damage = damage;
  }

  async strike(fault: FaultName): Promise<HasHappened> {
    const spoil = spoilOf(fault);
    if (spoil !== undefined) {
      const happened = this.#pair.proxy.spoil({ ...spoil, ...this.#plan.aim });
      return () => happened.hasArrived;
    }
    const hasHappened = await this.#do(fault);
    return () => hasHappened;
  }

  async #do(fault: FaultName): Promise<boolean> {
    const { proxy } = this.#pair;
    const { aim, initial, moment } = this.#plan;
    switch (fault) {
      case 'kill-source-daemon':
        return this.#endDaemon('source', 'kill');
      case 'kill-destination-daemon':
        return this.#endDaemon('destination', 'kill');
      case 'stop-source-daemon':
        return this.#endDaemon('source', 'stop');
      case 'stop-destination-daemon':
        return this.#endDaemon('destination', 'stop');
      case 'kill-source-engine':
        return this.#killEngines('source');
      case 'kill-destination-engine':
        return this.#killEngines('destination');
      case 'kill-guard':
        return kill(guardPids(this.#pair));
      case 'cut-all':
        proxy.cut();
        return true;
      case 'cut-one-stream':
        return proxy.cutData(aim.stream);
      case 'stall-short':
      case 'stall-long': {
        const stall = proxy.stall();
        await pause(STALL_MS[fault]);
        stall.release();
        return true;
      }
      case 'delay':
        proxy.latencyMs = 1 + Math.floor(aim.share * LATENCY_MOST_MS);
        return true;
      case 'slow-reader':
        proxy.readBytesPerSecond = initial.sizeBytes / SLOW_SECONDS;
        return true;
      case 'destination-full':
        return this.#damage.fillDestination();
      case 'source-image-truncated':
        this.#damage.truncateSource(aim.share);
        return true;
      case 'source-image-replaced':
        this.#damage.replaceSource();
        return true;
      case 'destination-image-truncated':
        return this.#damage.truncateDestination(
          aim.share,
          moment !== undefined && AFTER_REREAD.includes(moment.phase),
        );
      case 'netem': {
        const netem = this.#pair.netem;
        if (netem === undefined) return false;
        netem.start();
        await pause(NETEM_MS);
        netem.stop();
        return true;
      }
      case 'operator-cancels':
        return this.#isTaken('source', async () => this.#pair.source.api.cancel());
      case 'operator-aborts':
        return this.#isTaken('destination', async () => {
          const { api } = this.#pair.destination;
          return api.abort((await api.status()).pageferry['migration-id']);
        });
      default:
        return false;
    }
  }

  async #endDaemon(side: Side, how: 'kill' | 'stop'): Promise<boolean> {
    if (!this.#pair[side].isRunning) return false;
    const exit = await this.#pair[side][how]();
    if (how === 'stop' && exit?.code !== 0)
      throw new Error(`the ${side} daemon was asked to end: ${JSON.stringify(exit)}`);
    return true;
  }

  /** The one that waits too: in setup the status does not tell them apart yet. */
  async #killEngines(side: Side): Promise<boolean> {
    return this.#pair[side].isRunning && kill(this.#pair.enginePids(side));
  }

  /** False where the daemon says that it is too late, or too early. */
  async #isTaken(side: Side, order: () => Promise<unknown>): Promise<boolean> {
    if (!this.#pair[side].isRunning) return false;
    try {
      await order();
      return true;
    } catch (error) {
      if (error instanceof RefusedError) return false;
      throw error;
    }
  }
}

async function kill(pids: readonly number[]): Promise<boolean> {
  for (const pid of pids) {
    signalIfThere(pid, 'SIGKILL');
    await untilGone(pid);
  }
  return pids.length > 0;
}
