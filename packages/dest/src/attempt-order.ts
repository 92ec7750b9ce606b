/**
 * What the source has said in an attempt so far, and what may come now: rounds ascend, have a root for each block, and end
 * with the handover; device state comes before that.
 */
import type { DeviceState } from '@pageferry/guest';
import { ProblemError } from '@pageferry/protocol';
import { ArrivingDeviceState, type StatedDeviceState } from './device-state.ts';

export class AttemptOrder {
  /** What the guest will load, once `handover` has described it; null where it has none. */
  deviceState: DeviceState | null = null;
  readonly #blockCount: number;
  readonly #arriving = new ArrivingDeviceState();
  #lastRound = -1;
  #hasHandover = false;

  constructor(blockCount: number) {
    this.#blockCount = blockCount;
  }

  /** Bytes of device state that came. */
  get deviceStateBytes(): number {
    return this.#arriving.lengthBytes;
  }

  /** The end of a round, or with `handover` of the final one. @throws ProblemError protocol-violation */
  endRound(round: number, roots: readonly Uint8Array[]): void {
    const isInOrder = !this.#hasHandover && round > this.#lastRound && roots.length === this.#blockCount;
    this.#lastRound = round;
    if (!isInOrder) throw outOfOrder(`the end of round ${round}`);
  }

  /** A piece of device state. @throws ProblemError protocol-violation, ProtocolError */
  addDeviceState(payload: Uint8Array): void {
    if (this.#hasHandover) throw outOfOrder('device state');
    this.#arriving.add(payload);
  }

  /** The handover, after its round; `stated`: what it says of the device state. @throws ProblemError protocol-violation */
  handOver(guestType: string, stated: StatedDeviceState | undefined): void {
    this.#hasHandover = true;
    this.deviceState = this.#arriving.finish(guestType, stated);
  }
}

function outOfOrder(what: string): ProblemError {
  return new ProblemError('protocol-violation', `${what} was not to come now`, { peer: 'source' });
}
