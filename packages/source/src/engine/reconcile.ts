/**
 * The digest exchange, seen from the source: a stream's digest table is made to say what the destination has.
 *
 * Repair, resume and warm start are this one mechanism. Roots of extents tell where the tables differ, digests of
 * pages what the destination has there; they replace ours. The round that follows then sends exactly the pages whose
 * content has another digest, whatever the reason was. Nothing depends on what was acknowledged before.
 */
import { DIGESTS_PER_FRAME_MAX, type DigestRange } from '@pageferry/protocol/wire';
import type { DigestTable, Shard, ShardChunk } from '@pageferry/memory';
import { DIGEST_BYTES, EXTENT_PAGES, type SourceKernel } from '@pageferry/xbzrle';

/** Extents whose page digests fit into one answer. */
const EXTENTS_PER_REQUEST = DIGESTS_PER_FRAME_MAX / EXTENT_PAGES;
const UNKNOWN = new Uint8Array(DIGEST_BYTES);

/** What the destination answers: count × 16 bytes. The next question may be asked once this one is answered. */
export interface DigestSource {
  extentRoots(range: DigestRange): Promise<Uint8Array>;
  pageDigests(range: DigestRange): Promise<Uint8Array>;
}

export interface ReconcileBlock {
  readonly block: number;
  readonly stream: number;
  readonly shard: Shard;
  readonly table: DigestTable;
  /** Its digests and root areas are used. */
  readonly kernel: SourceKernel;
}

/** Pages of a block of which the destination had something else than the table said. */
export interface Difference {
  readonly block: number;
  readonly pageCount: number;
  /** The first of them, by its index in the block. */
  readonly firstPage: number;
}

/** An extent whose digests are needed, and the destination's root of it. */
interface Differing {
  readonly chunk: ShardChunk;
  readonly root: Uint8Array;
}

/** Makes one block's table the destination's; undefined where they were the same. */
export async function reconcile(of: ReconcileBlock, from: DigestSource): Promise<Difference | undefined> {
  let pageCount = 0;
  let firstPage = Infinity;
  for await (const group of differingExtents(of, from)) {
    const { chunk: first } = group[0] ?? {};
    if (first === undefined) continue;
    const count = group.reduce((sum, { chunk }) => sum + chunk.pageCount, 0);
    const range = { block: of.block, stream: of.stream, first: first.firstLocalPage, count };
    const digests = await from.pageDigests(range);
    for (const { chunk, root } of group) {
      const start = (chunk.firstLocalPage - first.firstLocalPage) * DIGEST_BYTES;
      const theirs = digests.subarray(start, start + chunk.pageCount * DIGEST_BYTES);
      const differing = differingPages(of, chunk, theirs);
      pageCount += differing.length;
      firstPage = Math.min(firstPage, differing[0] ?? Infinity);
      of.table.store(chunk.firstPage, chunk.pageCount, theirs);
      of.table.storeRoot(chunk.chunk, root);
    }
  }
  return pageCount === 0 ? undefined : { block: of.block, pageCount, firstPage };
}

/** Extents whose roots differ, neighbours together as far as one answer goes. */
async function* differingExtents(
  of: ReconcileBlock,
  from: DigestSource,
): AsyncGenerator<readonly Differing[], void, undefined> {
  let group: Differing[] = [];
  for await (const differing of extentsByRoot(of, from)) {
    const last = group.at(-1);
    const isNeighbour =
      last !== undefined &&
      last.chunk.firstLocalPage + EXTENT_PAGES === differing.chunk.firstLocalPage &&
      group.length < EXTENTS_PER_REQUEST;
    if (!isNeighbour && group.length > 0) {
      yield group;
      group = [];
    }
    group.push(differing);
  }
  if (group.length > 0) yield group;
}

async function* extentsByRoot(
  of: ReconcileBlock,
  from: DigestSource,
): AsyncGenerator<Differing, void, undefined> {
  const { block, stream, shard } = of;
  const chunks = [...shard.chunks()];
  for (let first = 0; first < chunks.length; first += DIGESTS_PER_FRAME_MAX) {
    const part = chunks.slice(first, first + DIGESTS_PER_FRAME_MAX);
    const roots = await from.extentRoots({ block, stream, first, count: part.length });
    for (const [index, chunk] of part.entries()) {
      const root = roots.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
      if (!isSettledByRoot(of, chunk, root)) yield { chunk, root };
    }
  }
}

/** The root alone says enough if it is ours, or if we know nothing and it is that of zero pages. */
function isSettledByRoot({ table, kernel }: ReconcileBlock, chunk: ShardChunk, root: Uint8Array): boolean {
  const ours = new Uint8Array(DIGEST_BYTES);
  table.root(chunk.chunk, ours);
  if (isEqual(ours, root)) return true;
  if (!isEqual(ours, UNKNOWN) || chunk.pageCount < EXTENT_PAGES) return false;
  if (!isEqual(kernel.zeroExtentRoot(chunk.firstPage), root)) return false;
  table.storeZeroExtent(chunk.chunk);
  table.storeRoot(chunk.chunk, root);
  return true;
}

function differingPages({ table, kernel }: ReconcileBlock, chunk: ShardChunk, theirs: Uint8Array): number[] {
  table.load(chunk.firstPage, chunk.pageCount, kernel.digests);
  const pages: number[] = [];
  for (let page = 0; page < chunk.pageCount; page += 1) {
    const at = page * DIGEST_BYTES;
    const ours = kernel.digests.subarray(at, at + DIGEST_BYTES);
    if (!isEqual(ours, theirs.subarray(at, at + DIGEST_BYTES))) pages.push(chunk.firstPage + page);
  }
  return pages;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
