// The digest of every page that a side knows, and a root for every extent of 512 pages.
// Invariant: an extent is unknown (16 zero bytes a page), zero (every page has the digest of a zero page) or has
// its own 8 KiB. Only the last kind costs memory, taken from slabs, so a sparse terabyte costs 20 bytes an extent
// and a full one 16 bytes a page. The table stores roots but does not compute them: the kernel keeps them up to
// date with the digests, and whoever stores one stores the other.

import assert from 'node:assert/strict';
import { DIGEST_BYTES, EXTENT_PAGES } from '@pageferry/xbzrle';
import { checkPageRange } from './block.ts';
import { SlabStore } from './slab-store.ts';

const EXTENT_DIGEST_BYTES = EXTENT_PAGES * DIGEST_BYTES;
const SEGMENT_EXTENTS = 1024;

// What an extent's entry says: one of these, or its slot in the store plus FIRST_SLOT.
const UNKNOWN = 0;
const ZERO = 1;
const FIRST_SLOT = 2;

interface Segment {
  readonly entries: Uint32Array;
  readonly roots: Uint8Array;
}

/** One stream's digests of one block, or a whole block's. */
export class DigestTable {
  readonly pageCount: number;
  readonly extentCount: number;
  /** The digests of an extent of zero pages. */
  readonly #zeroExtent: Uint8Array;
  readonly #segments: (Segment | undefined)[];
  readonly #store = new SlabStore(EXTENT_DIGEST_BYTES);
  #segmentCount = 0;

  constructor({
    pageCount,
    zeroDigest,
  }: {
    /** Pages of the whole block, 1 to 2^32. */
    readonly pageCount: number;
    /** The digest of a zero page under this epoch's secret, 16 bytes. */
    readonly zeroDigest: Uint8Array;
  }) {
    assert(zeroDigest.length === DIGEST_BYTES);
    this.pageCount = pageCount;
    this.extentCount = Math.ceil(pageCount / EXTENT_PAGES);
    this.#zeroExtent = new Uint8Array(EXTENT_DIGEST_BYTES);
    for (let at = 0; at < EXTENT_DIGEST_BYTES; at += DIGEST_BYTES) this.#zeroExtent.set(zeroDigest, at);
    this.#segments = Array.from({ length: Math.ceil(this.extentCount / SEGMENT_EXTENTS) });
  }

  /** Bytes allocated for digests and roots. */
  get allocatedBytes(): number {
    const segmentBytes = SEGMENT_EXTENTS * (Uint32Array.BYTES_PER_ELEMENT + DIGEST_BYTES);
    return this.#store.allocatedBytes + this.#segmentCount * segmentBytes;
  }

  /** Copies the digests of pages of one extent into the beginning of `target`; unknown ones as 16 zero bytes. */
  load(firstPage: number, pageCount: number, target: Uint8Array): void {
    const { extent, start, end } = this.#bytesOf(firstPage, pageCount);
    const entry = this.#entry(extent);
    if (entry === UNKNOWN) target.fill(0, 0, end - start);
    else if (entry === ZERO) target.set(this.#zeroExtent.subarray(start, end));
    else target.set(this.#store.slot(entry - FIRST_SLOT).subarray(start, end));
  }

  /** Replaces the digests of pages of one extent by the beginning of `source`. */
  store(firstPage: number, pageCount: number, source: Uint8Array): void {
    const { extent, start, end } = this.#bytesOf(firstPage, pageCount);
    this.#ownDigests(extent).set(source.subarray(0, end - start), start);
  }

  /** Copies an extent's root, 16 bytes, into the beginning of `target`; zeros if none was stored. */
  root(extent: number, target: Uint8Array): void {
    const segment = this.#segments[segmentIndexOf(extent)];
    if (segment === undefined) target.fill(0, 0, DIGEST_BYTES);
    else target.set(segment.roots.subarray(...rootRange(extent)));
  }

  /** Replaces an extent's root by the first 16 bytes of `root`. */
  storeRoot(extent: number, root: Uint8Array): void {
    const [start] = rootRange(extent);
    this.#segment(extent).roots.set(root.subarray(0, DIGEST_BYTES), start);
  }

  /** Says that every page of an extent is zero. Its root is stored separately, as always. */
  storeZeroExtent(extent: number): void {
    const segment = this.#segment(extent);
    const index = extent % SEGMENT_EXTENTS;
    const entry = segment.entries[index] ?? UNKNOWN;
    if (entry >= FIRST_SLOT) this.#store.free(entry - FIRST_SLOT);
    segment.entries[index] = ZERO;
  }

  /** True if the extent is held as zero as a whole (and not page by page). */
  isZeroExtent(extent: number): boolean {
    return this.#entry(extent) === ZERO;
  }

  /** The sum of the extents' roots mod 2^128, 16 bytes little-endian; streams' sums add up to the block's. */
  blockRoot(): Uint8Array {
    // Lane by lane in doubles, carrying once a segment: 1,024 lanes of 32 bits cannot lose a bit, and a terabyte
    // of extents takes milliseconds in the pause where 16-byte sums would take most of a second.
    const sum = new Uint8Array(DIGEST_BYTES);
    for (const segment of this.#segments) if (segment !== undefined) addAll(sum, segment.roots);
    return sum;
  }

  #bytesOf(firstPage: number, pageCount: number): { extent: number; start: number; end: number } {
    checkPageRange(firstPage, pageCount, this.pageCount);
    const extent = Math.floor(firstPage / EXTENT_PAGES);
    const start = (firstPage % EXTENT_PAGES) * DIGEST_BYTES;
    const end = start + pageCount * DIGEST_BYTES;
    assert(end <= EXTENT_DIGEST_BYTES, 'pages of one extent');
    return { extent, start, end };
  }

  #entry(extent: number): number {
    return this.#segments[segmentIndexOf(extent)]?.entries[extent % SEGMENT_EXTENTS] ?? UNKNOWN;
  }

  /** The extent's own 8 KiB, made from what it was. */
  #ownDigests(extent: number): Uint8Array {
    const { entries } = this.#segment(extent);
    const entry = entries[extent % SEGMENT_EXTENTS] ?? UNKNOWN;
    if (entry >= FIRST_SLOT) return this.#store.slot(entry - FIRST_SLOT);
    const slotIndex = this.#store.allocate();
    entries[extent % SEGMENT_EXTENTS] = slotIndex + FIRST_SLOT;
    const digests = this.#store.slot(slotIndex);
    if (entry === ZERO) digests.set(this.#zeroExtent);
    return digests;
  }

  #segment(extent: number): Segment {
    assert(extent >= 0 && extent < this.extentCount, `extent ${extent} is in the block`);
    const index = segmentIndexOf(extent);
    const existing = this.#segments[index];
    if (existing !== undefined) return existing;
    const segment = {
      entries: new Uint32Array(SEGMENT_EXTENTS),
      roots: new Uint8Array(SEGMENT_EXTENTS * DIGEST_BYTES),
    };
    this.#segments[index] = segment;
    this.#segmentCount += 1;
    return segment;
  }
}

function segmentIndexOf(extent: number): number {
  return Math.floor(extent / SEGMENT_EXTENTS);
}

function rootRange(extent: number): [start: number, end: number] {
  const start = (extent % SEGMENT_EXTENTS) * DIGEST_BYTES;
  return [start, start + DIGEST_BYTES];
}

/** sum += every 16-byte number in `roots`, mod 2^128. */
function addAll(sum: Uint8Array, roots: Uint8Array): void {
  const view = new DataView(roots.buffer, roots.byteOffset, roots.byteLength);
  const total = new DataView(sum.buffer, sum.byteOffset, sum.byteLength);
  let carry = 0;
  for (let lane = 0; lane < DIGEST_BYTES; lane += 4) {
    let laneSum = total.getUint32(lane, true) + carry;
    for (let at = lane; at < roots.length; at += DIGEST_BYTES) laneSum += view.getUint32(at, true);
    total.setUint32(lane, laneSum % 2 ** 32, true);
    carry = Math.floor(laneSum / 2 ** 32);
  }
}
