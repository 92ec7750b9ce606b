// What the kernel offers to JavaScript: sizes for the loader to check, areas, and one call per batch.
import { COUNTERS, DIGESTS, RESIDENT, ROOT, SECRET, ZERO_DIGEST } from './layout';
import { digestZeroPage } from './xxh3';

export {
  BATCH_PAGES,
  CACHE_ENTRY_BYTES,
  CACHE_SLOT_BYTES,
  COUNTER_COUNT,
  DESTINATION_PREFIX_BYTES,
  DIGEST_BYTES,
  EXTENT_PAGES,
  FRAME_RECORDS_MAX_BYTES,
  PAGE_BYTES,
  PAGE_RECORD_MAX_BYTES,
  RECORD_HEADER_BYTES,
  SECRET_BYTES,
  destinationFrame,
  destinationMemoryBytes,
  destinationStaging,
  sourceMemoryBytes,
  windowMemoryBytes,
  windowScratch,
  windowStart,
} from './layout';
export { cacheCopies, cacheEntries, dropCache } from './page-cache';
export { DIRECT_MIN_PAGES, begin, hasRoom, isDirect, recordBytes, slotInput, slotRecords } from './frame';
export { encodeBatch, encodeZeroBatch, placeSource } from './source-batch';
export { applyDelta, digestPages, isValidDelta, zeroPages } from './destination';
export { changedEnd, countAbsent, firstChanged } from './window';
// Leaves, for the tests against the reference and for the benchmark.
export { encodePage } from './xbzrle';
export { digestPage } from './xxh3';

export function secretArea(): usize {
  return SECRET;
}

export function digestsArea(): usize {
  return DIGESTS;
}

export function rootArea(): usize {
  return ROOT;
}

export function countersArea(): usize {
  return COUNTERS;
}

export function residentArea(): usize {
  return RESIDENT;
}

export function zeroDigestArea(): usize {
  return ZERO_DIGEST;
}

/** Takes the secret in its area into use. `scratch` is a page that may be overwritten with zeros. */
export function useSecret(scratch: usize): void {
  digestZeroPage(scratch);
}
