// Where everything lies in the kernel's memory, and every size, stated once: the loader compares what is
// exported here with the TypeScript constants, and asks here how much memory an instance needs.
// Small areas of fixed size are static; cache and slots follow them, sized when an instance is made.

export const PAGE_BYTES: i32 = 4096;
export const PAGE_SHIFT: i32 = 12;
export const BATCH_PAGES: i32 = 256;
export const EXTENT_PAGES: i32 = 512;
export const DIGEST_BYTES: i32 = 16;
export const SECRET_BYTES: i32 = 192;
export const FRAME_RECORDS_MAX_BYTES: i32 = (1 << 20) + (64 << 10);
/** `first page u32, count u32, kind u8`. */
export const RECORD_HEADER_BYTES: i32 = 9;
/** The `length u16` that an xbzrle record has between its header and its payload. */
export const DELTA_LENGTH_BYTES: i32 = 2;
/** Page index, age, digest: what the cache keeps beside each copy. */
export const CACHE_ENTRY_BYTES: i32 = 24;
export const CACHE_SLOT_BYTES: i32 = PAGE_BYTES + CACHE_ENTRY_BYTES;
export const DESTINATION_PREFIX_BYTES: i32 = 64;
export const COUNTER_COUNT: i32 = 8;

/** Vector stores and loads may reach this far past the bytes that they mean. */
export const SLACK_BYTES: i32 = 64;
/** What a page adds to a frame at most: a delta as long as a page. */
export const PAGE_RECORD_MAX_BYTES: i32 = RECORD_HEADER_BYTES + DELTA_LENGTH_BYTES + PAGE_BYTES;

export const SECRET: usize = memory.data(192, 64);
export const DIGESTS: usize = memory.data(8192, 64);
export const ROOT: usize = memory.data(16, 16);
export const COUNTERS: usize = memory.data(64, 16);
export const ZERO_DIGEST: usize = memory.data(16, 16);
export const NEW_DIGEST: usize = memory.data(16, 16);
/** A byte for each page of a batch in a window, as mincore(2) fills it in: bit 0 is "resident". */
export const RESIDENT: usize = memory.data(256, 64);

/** A slot: its state, then two areas with the caller's headroom before and slack behind each. */
export const SLOT_STATE_BYTES: usize = 64;

export function align64(bytes: usize): usize {
  return (bytes + 63) & ~63;
}

/** From a slot's start to its input area; the same distance holds between slack and record area. */
export function slotPrefixBytes(headroomBytes: usize): usize {
  return align64(headroomBytes + RECORD_HEADER_BYTES);
}

export function slotInputOffset(headroomBytes: usize): usize {
  return SLOT_STATE_BYTES + slotPrefixBytes(headroomBytes);
}

export function slotRecordsOffset(headroomBytes: usize): usize {
  return (
    slotInputOffset(headroomBytes) + BATCH_PAGES * PAGE_BYTES + SLACK_BYTES + slotPrefixBytes(headroomBytes)
  );
}

export function slotBytes(headroomBytes: usize): usize {
  return slotRecordsOffset(headroomBytes) + FRAME_RECORDS_MAX_BYTES + SLACK_BYTES;
}

/** Memory of a source instance in bytes; a float, because it may pass 4 GiB and is then refused. */
export function sourceMemoryBytes(slotCount: u32, headroomBytes: u32, cacheSlotCount: u32): f64 {
  return (
    <f64>align64(__heap_base) +
    <f64>align64(cacheSlotCount * CACHE_ENTRY_BYTES) +
    <f64>cacheSlotCount * PAGE_BYTES +
    <f64>slotCount * <f64>slotBytes(headroomBytes)
  );
}

export function destinationFrame(): usize {
  return align64(__heap_base);
}

export function destinationStaging(): usize {
  return align64(destinationFrame() + DESTINATION_PREFIX_BYTES + FRAME_RECORDS_MAX_BYTES + SLACK_BYTES);
}

export function destinationMemoryBytes(): f64 {
  return <f64>(destinationStaging() + BATCH_PAGES * PAGE_BYTES + SLACK_BYTES);
}

/** A window instance: one page of scratch, then, where a mapping may begin, the window. */
export function windowScratch(): usize {
  return (__heap_base + PAGE_BYTES - 1) & ~(<usize>PAGE_BYTES - 1);
}

export function windowStart(): usize {
  return windowScratch() + PAGE_BYTES;
}

export function windowMemoryBytes(windowPageCount: u32): f64 {
  return <f64>windowStart() + <f64>windowPageCount * PAGE_BYTES;
}
