// The frame of a slot: page records, appended in page order, adjacent ones of a kind merged into runs.
// Raw pages are not copied one by one: a run of them stays pending in the input area until something else
// must follow it. If it is then the whole frame, the input area itself becomes the frame and nothing is copied.
import {
  BATCH_PAGES,
  DELTA_LENGTH_BYTES,
  FRAME_RECORDS_MAX_BYTES,
  PAGE_SHIFT,
  RECORD_HEADER_BYTES,
  slotBytes,
  slotInputOffset,
  slotRecordsOffset,
} from './layout';

const KIND_ZERO: u8 = 1;
const KIND_NORMAL: u8 = 2;
const KIND_XBZRLE: u8 = 3;

/** Below this a frame of its own costs more than copying the pages. */
export const DIRECT_MIN_PAGES: i32 = BATCH_PAGES / 2;

const STATE_BYTES: usize = 0;
const STATE_LAST: usize = 4;
const STATE_DIRECT: usize = 8;

let slots: usize = 0;
let headroom: usize = 0;

// The frame that is being appended to; written back to the slot's state at the end of a batch.
let state: usize = 0;
let records: usize = 0;
let end: usize = 0;
let last: usize = 0;
let pendingFirst: u32 = 0;
let pendingCount: u32 = 0;
let pendingPages: usize = 0;

export function placeSlots(start: usize, headroomBytes: usize): void {
  slots = start;
  headroom = headroomBytes;
}

function slotState(slot: i32): usize {
  return slots + <usize>slot * slotBytes(headroom);
}

export function slotInput(slot: i32): usize {
  return slotState(slot) + slotInputOffset(headroom);
}

/** First byte of the slot's records: in the record area, or, if the frame is direct, before the input. */
export function slotRecords(slot: i32): usize {
  if (isDirect(slot)) return slotInput(slot) - RECORD_HEADER_BYTES;
  return slotState(slot) + slotRecordsOffset(headroom);
}

export function recordBytes(slot: i32): i32 {
  return load<i32>(slotState(slot), STATE_BYTES);
}

export function isDirect(slot: i32): bool {
  return load<i32>(slotState(slot), STATE_DIRECT) != 0;
}

/** Whether the frame takes that many bytes more; never while the input area is the frame. */
export function hasRoom(slot: i32, bytes: i32): bool {
  return !isDirect(slot) && recordBytes(slot) + bytes <= FRAME_RECORDS_MAX_BYTES;
}

export function begin(slot: i32): void {
  memory.fill(slotState(slot), 0, 12);
}

export function openFrame(slot: i32): void {
  state = slotState(slot);
  records = state + slotRecordsOffset(headroom);
  end = records + load<u32>(state, STATE_BYTES);
  last = load<u32>(state, STATE_LAST);
  pendingCount = 0;
}

/** Ends a batch of `pageCount` pages from the slot's input area. */
export function closeFrame(pageCount: i32): void {
  if (end == records && pendingCount == <u32>pageCount && pageCount >= DIRECT_MIN_PAGES) {
    writeHeader(pendingPages - RECORD_HEADER_BYTES, pendingFirst, pendingCount, KIND_NORMAL);
    store<u32>(state, RECORD_HEADER_BYTES + (pendingCount << PAGE_SHIFT), STATE_BYTES);
    store<u32>(state, 1, STATE_DIRECT);
    pendingCount = 0;
    return;
  }
  flushPending();
  store<u32>(state, <u32>(end - records), STATE_BYTES);
  store<u32>(state, <u32>last, STATE_LAST);
}

export function appendZero(page: u32): void {
  flushPending();
  if (!extendLast(page, 1, KIND_ZERO)) startRecord(page, 1, KIND_ZERO);
}

export function appendNormal(page: u32, pages: usize): void {
  if (pendingCount != 0 && pendingFirst + pendingCount == page) {
    pendingCount++;
    return;
  }
  flushPending();
  pendingFirst = page;
  pendingCount = 1;
  pendingPages = pages;
}

/** Where the payload of a delta lies if it is appended next: behind the pending run, which stays pending. */
export function nextPayload(): usize {
  let pendingBytes: usize = 0;
  if (pendingCount != 0) {
    pendingBytes = (<usize>pendingCount) << PAGE_SHIFT;
    if (!continuesLast(pendingFirst, KIND_NORMAL)) pendingBytes += RECORD_HEADER_BYTES;
  }
  return end + pendingBytes + RECORD_HEADER_BYTES + DELTA_LENGTH_BYTES;
}

/** Appends the delta whose payload was encoded at `nextPayload()`. */
export function appendDelta(page: u32, length: i32): void {
  flushPending();
  startRecord(page, 1, KIND_XBZRLE);
  store<u16>(end, <u16>length);
  end += DELTA_LENGTH_BYTES + length;
}

function flushPending(): void {
  if (pendingCount == 0) return;
  if (!extendLast(pendingFirst, pendingCount, KIND_NORMAL))
    startRecord(pendingFirst, pendingCount, KIND_NORMAL);
  const bytes = (<usize>pendingCount) << PAGE_SHIFT;
  memory.copy(end, pendingPages, bytes);
  end += bytes;
  pendingCount = 0;
}

function continuesLast(page: u32, kind: u8): bool {
  return last != 0 && load<u8>(last, 8) == kind && load<u32>(last) + load<u32>(last, 4) == page;
}

function extendLast(page: u32, count: u32, kind: u8): bool {
  if (!continuesLast(page, kind)) return false;
  store<u32>(last, load<u32>(last, 4) + count, 4);
  return true;
}

function startRecord(page: u32, count: u32, kind: u8): void {
  writeHeader(end, page, count, kind);
  last = end;
  end += RECORD_HEADER_BYTES;
}

function writeHeader(at: usize, page: u32, count: u32, kind: u8): void {
  store<u32>(at, page);
  store<u32>(at, count, 4);
  store<u8>(at, kind, 8);
}
