// The page kernel: bytes in, bytes out.
export {
  BATCH_PAGES,
  CACHE_SLOT_BYTES,
  DESTINATION_PREFIX_BYTES,
  DIGEST_BYTES,
  DIRECT_MIN_PAGES,
  EXTENT_PAGES,
  FRAME_RECORDS_MAX_BYTES,
  OVERFLOW,
  PAGE_RECORD_MAX_BYTES,
  PAGE_SIZE,
  RECORD_HEADER_BYTES,
  RECORD_NORMAL,
  RECORD_XBZRLE,
  RECORD_ZERO,
  SECRET_BYTES,
  UNCHANGED,
} from './constants.ts';
export { decode, encode } from './codec.ts';
export { digest, zeroDigest } from './digest.ts';
export { ZERO_ROOT, addRoots, mix } from './root.ts';
export {
  MAX_CACHE_BYTES,
  cacheAllocatedBytes,
  cacheBytesPerStream,
  checkCacheBytes,
} from './page-cache-size.ts';
export { DestinationKernel } from './destination-kernel.ts';
export {
  SourceKernel,
  type Batch,
  type EvictionRule,
  type PageCounters,
  type SourceKernelOptions,
} from './source-kernel.ts';
export { compileKernel } from './wasm.ts';
export { WINDOW_PAGES, WindowKernel } from './window-kernel.ts';
export { XbzrleError, type PayloadFault, type XbzrleFault } from './errors.ts';
