/**
 * A guest's device state as it arrives: pieces in order and without gaps, bounded, and what `handover` says of them.
 * Nothing of it is looked at; the guest that loads it does that.
 */
import { createHash } from 'node:crypto';
import type { DeviceState } from '@pageferry/guest';
import { decodeDeviceStatePiece, ProblemError } from '@pageferry/protocol';

/** What `handover` says of the pieces before it. */
export interface StatedDeviceState {
  readonly sizeBytes: number;
  readonly sha256: Uint8Array;
}

export class ArrivingDeviceState {
  #bytes: Uint8Array | undefined;
  #arrivedBytes = 0;

  /** Bytes so far. */
  get lengthBytes(): number {
    return this.#arrivedBytes;
  }

  /** Takes the next piece. The first one's total is the size of the memory. @throws ProtocolError, ProblemError */
  add(payload: Uint8Array): void {
    const { offsetBytes, totalBytes, piece } = decodeDeviceStatePiece(payload, this.#arrivedBytes);
    this.#bytes ??= new Uint8Array(totalBytes);
    if (totalBytes !== this.#bytes.length)
      throw broken(`device state of ${this.#bytes.length} bytes is ${totalBytes} bytes now`);
    this.#bytes.set(piece, offsetBytes);
    this.#arrivedBytes += piece.length;
  }

  /** The whole, checked; null where the guest has none. @throws ProblemError protocol-violation */
  finish(format: string, stated: StatedDeviceState | undefined): DeviceState | null {
    const bytes = this.#bytes ?? new Uint8Array();
    if (this.#arrivedBytes !== (stated?.sizeBytes ?? 0))
      throw broken(
        `${this.#arrivedBytes} bytes of device state came, handover says ${stated?.sizeBytes ?? 0}`,
      );
    if (stated === undefined) return null;
    if (Buffer.compare(createHash('sha256').update(bytes).digest(), stated.sha256) !== 0)
      throw broken('the device state is not the one that handover describes');
    return { format, bytes };
  }
}

function broken(detail: string): ProblemError {
  return new ProblemError('protocol-violation', detail, { peer: 'source' });
}
