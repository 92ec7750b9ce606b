// Sizes that the kernel and its callers share. The kernel states them too; the loader compares both and refuses
// to go on if they differ, so neither can drift.

/** Bytes of a guest page. */
export const PAGE_SIZE = 4096;
/** Most pages of one batch: a megabyte. */
export const BATCH_PAGES = 256;
/** Pages of an extent: one 2 MiB chunk of a RAM block. */
export const EXTENT_PAGES = 512;
/** Bytes of a page digest: low half, then high half, each a little-endian u64. All zero means "unknown". */
export const DIGEST_BYTES = 16;
/** Bytes of the secret that digests are keyed with. */
export const SECRET_BYTES = 192;
/** Most bytes of the records of one page frame. */
export const FRAME_RECORDS_MAX_BYTES = 1024 * 1024 + 64 * 1024;
/** Memory of one cache slot: a page, its index, age and digest. */
export const CACHE_SLOT_BYTES = PAGE_SIZE + 24;
/** Bytes before the records in the destination's receive buffer, for the frame's own header. */
export const DESTINATION_PREFIX_BYTES = 64;
/** Bytes of a page record's header: `first page u32, count u32, kind u8`. */
export const RECORD_HEADER_BYTES = 9;
/** What a page adds to a frame at most: a delta as long as a page, with its header and length. */
export const PAGE_RECORD_MAX_BYTES = RECORD_HEADER_BYTES + 2 + PAGE_SIZE;
/** From this many raw pages on, the source's input buffer itself becomes the frame. */
export const DIRECT_MIN_PAGES = BATCH_PAGES / 2;

/** Kinds of page record. */
export const RECORD_ZERO = 1;
export const RECORD_NORMAL = 2;
export const RECORD_XBZRLE = 3;

/** `encode`: the pages are the same, nothing needs to be sent. */
export const UNCHANGED = 0;
/** `encode`: the delta does not fit, send the page itself. */
export const OVERFLOW = -1;
