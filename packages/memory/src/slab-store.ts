// Equal pieces of memory from slabs: a table of millions of extents must not be millions of typed arrays.
// Invariant: an allocated slot is zeroed; freed slots are used again before a new slab is made, and slabs are never
// given back (a guest that wrote pages once tends to write them again).

import assert from 'node:assert/strict';

/** Slots in a slab: 1 MiB of 8 KiB slots, so a small guest wastes less than that. */
const SLAB_SLOTS = 128;

/** Hands out slots of one size by index. */
export class SlabStore {
  readonly #slotBytes: number;
  readonly #slabs: Uint8Array[] = [];
  readonly #freeSlots: number[] = [];
  #slotCount = 0;

  constructor(slotBytes: number) {
    this.#slotBytes = slotBytes;
  }

  /** Bytes in slabs. */
  get allocatedBytes(): number {
    return this.#slabs.length * SLAB_SLOTS * this.#slotBytes;
  }

  /** The index of a zeroed slot. */
  allocate(): number {
    const reused = this.#freeSlots.pop();
    if (reused !== undefined) {
      this.slot(reused).fill(0);
      return reused;
    }
    const slotIndex = this.#slotCount;
    if (slotIndex === this.#slabs.length * SLAB_SLOTS) {
      this.#slabs.push(new Uint8Array(SLAB_SLOTS * this.#slotBytes));
    }
    this.#slotCount += 1;
    return slotIndex;
  }

  /** A view of an allocated slot. */
  slot(slotIndex: number): Uint8Array {
    const slab = this.#slabs[Math.floor(slotIndex / SLAB_SLOTS)];
    assert(slab !== undefined, `slot ${slotIndex} is allocated`);
    const start = (slotIndex % SLAB_SLOTS) * this.#slotBytes;
    return slab.subarray(start, start + this.#slotBytes);
  }

  /** Gives a slot back; its index must not be used any more. */
  free(slotIndex: number): void {
    this.#freeSlots.push(slotIndex);
  }
}
