// Loads the page kernel, synchronously and once per thread. An instance's memory is made to measure (initial =
// maximum), so it never grows and views on it stay valid. The kernel itself says how much it needs: a first,
// minimal instance is asked before the real one is made.
import { readFileSync } from 'node:fs';
import {
  BATCH_PAGES,
  CACHE_SLOT_BYTES,
  DESTINATION_PREFIX_BYTES,
  DIGEST_BYTES,
  DIRECT_MIN_PAGES,
  EXTENT_PAGES,
  FRAME_RECORDS_MAX_BYTES,
  PAGE_RECORD_MAX_BYTES,
  PAGE_SIZE,
  RECORD_HEADER_BYTES,
  SECRET_BYTES,
} from './constants.ts';
import { XbzrleError } from './errors.ts';

/** The kernel's functions; addresses and counts are unsigned but may come back as signed 32-bit numbers. */
export type KernelExports = {
  readonly secretArea: () => number;
  readonly digestsArea: () => number;
  readonly rootArea: () => number;
  readonly countersArea: () => number;
  readonly zeroDigestArea: () => number;
  readonly useSecret: (scratch: number) => void;
  readonly sourceMemoryBytes: (slotCount: number, headroomBytes: number, cacheSlotCount: number) => number;
  readonly placeSource: (headroomBytes: number, cacheSlotCount: number, newestEvicts: boolean) => void;
  readonly cacheEntries: () => number;
  readonly cacheCopies: () => number;
  readonly dropCache: () => void;
  readonly begin: (slot: number) => void;
  readonly hasRoom: (slot: number, bytes: number) => number;
  readonly isDirect: (slot: number) => number;
  readonly recordBytes: (slot: number) => number;
  readonly slotInput: (slot: number) => number;
  readonly slotRecords: (slot: number) => number;
  readonly encodeBatch: EncodeBatch;
  readonly encodeZeroBatch: EncodeBatch;
  readonly destinationMemoryBytes: () => number;
  readonly destinationFrame: () => number;
  readonly destinationStaging: () => number;
  readonly digestPages: (page: number, firstBlockPage: number, pageCount: number) => void;
  readonly zeroPages: (firstBlockPage: number, pageCount: number) => void;
  readonly isValidDelta: (payload: number, length: number) => number;
  readonly applyDelta: (page: number, payload: number, length: number) => number;
  readonly residentArea: () => number;
  readonly windowMemoryBytes: (windowPageCount: number) => number;
  readonly windowScratch: () => number;
  readonly windowStart: () => number;
  readonly countAbsent: (pageCount: number) => number;
  readonly firstChanged: (pages: number, from: number, to: number) => number;
  readonly changedEnd: (pages: number, from: number, to: number) => number;
  readonly encodePage: (oldPage: number, newPage: number, out: number, limit: number) => number;
  readonly digestPage: (page: number, out: number) => void;
};

type EncodeBatch = (
  slot: number,
  firstRecordPage: number,
  firstBlockPage: number,
  pageCount: number,
  generation: number,
  useXbzrle: boolean,
  fillCache: boolean,
) => number;

/** An instance and its memory. */
export type Kernel = { readonly exports: KernelExports & KernelSizes; readonly memory: ArrayBuffer };

type SizeName = (typeof EXPECTED_SIZES)[number][0];
/** The sizes that a kernel states. */
export type KernelSizes = { readonly [name in SizeName]?: { readonly value: number } };
type Module = object;
type Memory = { readonly buffer: ArrayBuffer };

// Node's types do not declare WebAssembly, and the DOM's would declare a browser. That `exports` is what our own
// kernel offers is stated here and checked by `checkSizes`.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => Module;
  readonly Memory: new (size: { initial: number; maximum: number }) => Memory;
  readonly Instance: new (
    module: Module,
    imports: { env: { memory: Memory } },
  ) => { readonly exports: KernelExports & KernelSizes };
};

const WASM_PAGE_BYTES = 65536;
/** Enough for the kernel's static areas. */
const MINIMAL_BYTES = WASM_PAGE_BYTES;

const EXPECTED_SIZES = [
  ['PAGE_BYTES', PAGE_SIZE],
  ['BATCH_PAGES', BATCH_PAGES],
  ['EXTENT_PAGES', EXTENT_PAGES],
  ['DIGEST_BYTES', DIGEST_BYTES],
  ['SECRET_BYTES', SECRET_BYTES],
  ['FRAME_RECORDS_MAX_BYTES', FRAME_RECORDS_MAX_BYTES],
  ['CACHE_SLOT_BYTES', CACHE_SLOT_BYTES],
  ['DESTINATION_PREFIX_BYTES', DESTINATION_PREFIX_BYTES],
  ['RECORD_HEADER_BYTES', RECORD_HEADER_BYTES],
  ['PAGE_RECORD_MAX_BYTES', PAGE_RECORD_MAX_BYTES],
  ['DIRECT_MIN_PAGES', DIRECT_MIN_PAGES],
] as const;

let compiled: Module | undefined;

/**
 * Compiles the kernel now, so that the first one that is made need not wait for it.
 *
 * @throws XbzrleError `kernel-missing` or `kernel-mismatch`
 */
export function compileKernel(): void {
  compiled ??= compile();
}

/**
 * Makes a kernel with as much memory as `memoryBytes` says, given the functions of a minimal instance.
 *
 * @throws XbzrleError `kernel-missing` or `kernel-mismatch`
 */
export function instantiateKernel(memoryBytes: (sizes: KernelExports) => number): Kernel {
  compiled ??= compile();
  const module = compiled;
  return instantiate(module, memoryBytes(instantiate(module, MINIMAL_BYTES).exports));
}

function compile(): Module {
  try {
    const module = new WebAssembly.Module(readFileSync(new URL('../xbzrle.wasm', import.meta.url)));
    checkSizes(instantiate(module, MINIMAL_BYTES).exports);
    return module;
  } catch (cause) {
    if (cause instanceof XbzrleError) throw cause;
    throw new XbzrleError({ code: 'kernel-missing' }, { cause });
  }
}

function instantiate(
  module: Module,
  bytes: number,
): { exports: KernelExports & KernelSizes; memory: ArrayBuffer } {
  const pageCount = Math.ceil(bytes / WASM_PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pageCount, maximum: pageCount });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return { exports, memory: memory.buffer };
}

/**
 * Compares the kernel's sizes with ours.
 *
 * @throws XbzrleError `kernel-mismatch`
 */
export function checkSizes(sizes: KernelSizes): void {
  for (const [name, expected] of EXPECTED_SIZES) {
    const kernel = sizes[name]?.value ?? 0;
    if (kernel !== expected) throw new XbzrleError({ code: 'kernel-mismatch', name, kernel, expected });
  }
}
