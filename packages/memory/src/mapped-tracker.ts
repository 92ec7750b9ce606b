// The scan of later rounds, without copying what did not change: each batch that the scan names is compared with the
// digest table where the image is mapped, and only what differs is named as `data`.
// Invariant: the comparison is a filter. A page that it leaves out has, byte for byte, been what the destination has;
// read while the guest writes, it may be a mixture, but then the guest wrote after this round began and the next one
// looks again. In the last round nobody writes. What is named is digested anew from its private snapshot.

import type { DigestTable } from './digest-table.ts';
import type { ImageMapping } from './image-mapping.ts';
import type { DirtyTracker, PageRun, TrackedRound } from './tracker.ts';

export class MappedTracker implements DirtyTracker {
  readonly name: string;
  readonly #tracker: DirtyTracker;
  readonly #mapping: ImageMapping;
  readonly #table: DigestTable;

  constructor({
    tracker,
    mapping,
    table,
  }: {
    /** Whose data is compared. */
    readonly tracker: DirtyTracker;
    readonly mapping: ImageMapping;
    readonly table: DigestTable;
  }) {
    this.name = tracker.name;
    this.#tracker = tracker;
    this.#mapping = mapping;
    this.#table = table;
  }

  /**
   * In the bulk stage every page differs: nothing is compared.
   * Throws MemoryError: truncated, io.
   */
  *candidates(round: TrackedRound): Generator<PageRun, void, undefined> {
    this.#mapping.startRound();
    for (const run of this.#tracker.candidates(round)) {
      if (run.kind === 'data' && round.round > 0) yield* this.#compared(run);
      else yield run;
    }
  }

  *#compared({ firstPage, firstLocalPage, pageCount }: PageRun): Generator<PageRun, void, undefined> {
    for (const { isChanged, from, to } of this.#mapping.compare(firstPage, pageCount, this.#table)) {
      yield {
        kind: isChanged ? 'data' : 'unchanged',
        firstPage: firstPage + from,
        firstLocalPage: firstLocalPage + from,
        pageCount: to - from,
      };
    }
  }
}
