/**
 * One attempt at the destination: its pages, the guest that may be prepared from them, and what the source has said in it so
 * far. Rounds ascend, have a root for each block, and end with the handover; device state comes before that.
 */
import type { DeviceState, IncomingGuest } from '@pageferry/guest';
import { ProblemError } from '@pageferry/protocol';
import { ArrivingDeviceState, type StatedDeviceState } from './device-state.ts';
import type { FinalRound, Receiving } from './receiving.ts';

/** What was compared at the end of a round. */
export interface RoundAnswer {
  readonly roots: readonly Uint8Array[];
  readonly matches: boolean;
  /** How long pages of the round were still on their way, or not applied. */
  readonly waitedMs: number;
}

export class IncomingAttempt {
  readonly receiving: Receiving;
  readonly guest: IncomingGuest;
  /** What the guest will load, once `handover` has described it; null where it has none. */
  deviceState: DeviceState | null = null;
  /** Of the hello. */
  readonly #guestType: string;
  readonly #arriving = new ArrivingDeviceState();
  #lastRound = -1;
  #hasHandover = false;

  constructor(receiving: Receiving, guest: IncomingGuest, guestType: string) {
    this.receiving = receiving;
    this.guest = guest;
    this.#guestType = guestType;
  }

  /** Bytes of device state that came. */
  get deviceStateBytes(): number {
    return this.#arriving.lengthBytes;
  }

  /** Resolves when the round is applied. @throws ProblemError protocol-violation */
  async endRound(round: number, theirs: readonly Uint8Array[]): Promise<RoundAnswer> {
    this.#ended(round, theirs);
    const startMs = performance.now();
    const answer = await this.receiving.compare(round, theirs);
    return { ...answer, waitedMs: performance.now() - startMs };
  }

  /** A piece of device state. @throws ProblemError protocol-violation, ProtocolError */
  addDeviceState(payload: Uint8Array): void {
    if (this.#hasHandover) throw outOfOrder('device state');
    this.#arriving.add(payload);
  }

  /**
   * The final round, and with it the handover: proves that what was sent is what is here, and that nothing can write any
   * more. @throws ProblemError, ProtocolError
   */
  async verify(final: FinalRound, stated: StatedDeviceState | undefined): Promise<void> {
    this.#ended(final.round, final.roots);
    this.#hasHandover = true;
    this.deviceState = this.#arriving.finish(this.#guestType, stated);
    await this.receiving.verify(final);
    await this.receiving.engine.kill();
  }

  #ended(round: number, roots: readonly Uint8Array[]): void {
    const { blocks } = this.receiving.images;
    const isInOrder = !this.#hasHandover && round > this.#lastRound && roots.length === blocks.length;
    this.#lastRound = round;
    if (!isInOrder) throw outOfOrder(`the end of round ${round}`);
  }
}

function outOfOrder(what: string): ProblemError {
  return new ProblemError('protocol-violation', `${what} was not to come now`, { peer: 'source' });
}
