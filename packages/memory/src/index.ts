export { pageCountOf } from './block.ts';
export { DigestTable } from './digest-table.ts';
export { MemoryError, type MemoryFault } from './errors.ts';
export type { FileCalls, LeaseCalls, MappingCalls, WatchCalls } from './file-calls.ts';
export { identityOf, isSameFile, type FileIdentity } from './file-identity.ts';
export { checkPlace, openImage, type Image, type ImageHandle, type OpenImageOptions } from './image-file.ts';
export { hugePageBytes } from './huge-pages.ts';
export { ImageLease, type ImageLeaseOptions } from './image-lease.ts';
export { lockImage, type ImageLock } from './image-lock.ts';
export { ImageMapping, type ComparedRun, type ImageMappingOptions } from './image-mapping.ts';
export { ImageReader, MINIMUM_RUN_PAGES, type DataRun } from './image-reader.ts';
export { ImageSet, type OpenBlock } from './image-set.ts';
export { ImageWatch } from './image-watch.ts';
export { ImageWriter, PUNCH_MINIMUM_PAGES } from './image-writer.ts';
export { findMappings, processStartTime, type Mapper, type Mappings } from './mappings.ts';
export { MappedTracker } from './mapped-tracker.ts';
export { usesFile } from './open-files.ts';
export { PAGEMAP_ENTRY_BYTES, Pagemap, UNMAPPED, WRITTEN } from './pagemap.ts';
export type { MappedFile } from './proc-maps.ts';
export { ProcessLocks } from './process-locks.ts';
export { ScanTracker } from './scan-tracker.ts';
export { Shard, type ShardChunk, type ShardPiece } from './shard.ts';
export { clearSoftDirty, findAccessProblem, findSoftDirtyProblem } from './soft-dirty-clear.ts';
export { findFailedConditions, findFailedSince, findUnwatched } from './soft-dirty-conditions.ts';
export {
  readSoftDirtyFacts,
  type ImageFacts,
  type MappingFacts,
  type SoftDirtyFacts,
  type Watched,
  type WatchedImage,
} from './soft-dirty-facts.ts';
export { SoftDirtyTracker, type WatchedWriters } from './soft-dirty-tracker.ts';
export type { DirtyTracker, PageRun, RoundScope, TrackedRound } from './tracker.ts';
export { describeUnreadable, unreadableHint } from './unreadable.ts';
export { findWriters, type Writer, type Writers, type WritableRange } from './writers.ts';
