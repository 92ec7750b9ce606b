// A lane is one endless sequence of operations on its own pages; a workload is one lane or two side by side.
// Operations are numbered from 1 and follow from (seed, number) alone. Each is idempotent: the instance at the
// destination begins with the operation that the source's may have left half done.
import { DocsLane } from './docs-lane.ts';
import { RandomLane } from './random-lane.ts';

export type LaneName = 'docs' | 'random';

/** Bytes that one pwrite puts into a page. They are a view of the lane's buffer, valid until its next operation. */
export interface PageWrite {
  readonly offsetBytes: number;
  readonly bytes: Uint8Array;
}

export interface Lane {
  readonly name: LaneName;
  readonly seed: number;
  /** Holds the lane's counter (header.ts); no operation touches it. */
  readonly headerPage: number;
  /** Page index in the image that an operation writes to. */
  pageOf(operation: number): number;
  /** What the operation writes, in this order. */
  writesOf(operation: number): readonly PageWrite[];
  /** The first operation that still shows after the last one: all earlier ones were written over. */
  firstVisible(last: number): number;
}

/** Pages `first` to `first + count - 1`. */
export interface PageRange {
  readonly first: number;
  readonly count: number;
}

/** Which workload runs on an image; both instances and the oracle are given the same. */
export interface WorkloadPlan {
  readonly program: LaneName | 'both';
  readonly seed: number;
  /** The pages that the workload may write to. */
  readonly range: PageRange;
  /** Share of the random lane's operations that make a page zero, 0 to 1. */
  readonly zeroShare: number;
}

/** `both` puts the docs lane in the middle of the range, the random lane over the rest. */
export function lanesOf(plan: WorkloadPlan): readonly Lane[] {
  const { seed, range, zeroShare } = plan;
  switch (plan.program) {
    case 'docs':
      return [new DocsLane(seed, range.first, range.count)];
    case 'random':
      return [new RandomLane(seed, [range], zeroShare)];
    case 'both': {
      const docsPages = Math.min(DocsLane.pageCount, Math.floor(range.count / 2));
      const start = range.first + Math.floor((range.count - docsPages) / 2);
      const end = start + docsPages;
      const before = { first: range.first, count: start - range.first };
      const after = { first: end, count: range.first + range.count - end };
      return [new DocsLane(seed, start, docsPages), new RandomLane(seed, [before, after], zeroShare)];
    }
  }
}
