// How fast the kernel is, in GB/s of guest memory: medians of alternating runs, so that a slow moment of the
// machine touches all rows alike. Run: node packages/xbzrle/dist/test/kernel.bench.js
import { BATCH_PAGES, PAGE_SIZE } from '../src/constants.ts';
import { SourceKernel, type Batch } from '../src/source-kernel.ts';
import { instantiateKernel } from '../src/wasm.ts';
import { fillRandom, randomSecret } from './vectors.ts';

const BATCH_BYTES = BATCH_PAGES * PAGE_SIZE;
const RUNS = 15;
const BATCHES_PER_RUN = 16;

type Row = { readonly name: string; readonly batch: () => void };

const PATTERNS: readonly (readonly [name: string, every: number, length: number])[] = [
  ['same', PAGE_SIZE, 0],
  ['2 bytes a page', PAGE_SIZE / 2, 1],
  ['1 of 256', 256, 1],
  ['1 of 64', 64, 1],
  ['1 of 16', 16, 1],
  ['run of 1000', PAGE_SIZE, 1000],
];

const rows = [...leafRows(), ...sourceRows()];
const nanoseconds = rows.map((): number[] => []);
for (let run = 0; run < RUNS; run++)
  for (const [i, { batch }] of rows.entries()) nanoseconds[i]?.push(time(batch));
for (const [i, { name }] of rows.entries()) {
  const median = nanoseconds[i]?.sort((a, b) => a - b)[RUNS >> 1] ?? 0;
  const rate = (BATCH_BYTES * BATCHES_PER_RUN) / median;
  console.log(
    `${name.padEnd(40)} ${rate.toFixed(1).padStart(6)} GB/s ${(4096 / rate).toFixed(0).padStart(6)} ns/page`,
  );
}

/** The leaves, called page by page. */
function leafRows(): Row[] {
  const { exports, memory } = instantiateKernel(() => (PATTERNS.length + 4) * BATCH_BYTES);
  const bytes = new Uint8Array(memory);
  const old = BATCH_BYTES;
  const out = 2 * BATCH_BYTES;
  bytes.set(randomSecret(1), exports.secretArea());
  fillRandom(bytes.subarray(old, old + BATCH_BYTES), 2);
  return [
    {
      name: 'digest',
      batch: () => {
        for (let at = 0; at < BATCH_BYTES; at += PAGE_SIZE) exports.digestPage(old + at, out);
      },
    },
    { name: 'digest and root, destination', batch: () => exports.digestPages(old, 0, BATCH_PAGES) },
    ...PATTERNS.map(([name, every, length], i) => {
      const pages = (3 + i) * BATCH_BYTES;
      bytes.copyWithin(pages, old, old + BATCH_BYTES);
      change(bytes.subarray(pages, pages + BATCH_BYTES), every, length);
      return {
        name: `encode: ${name}`,
        batch: () => {
          for (let at = 0; at < BATCH_BYTES; at += PAGE_SIZE)
            exports.encodePage(old + at, pages + at, out, PAGE_SIZE);
        },
      };
    }),
  ];
}

/** Whole batches, as the source makes them. */
function sourceRows(): Row[] {
  const kernel = new SourceKernel({
    secret: randomSecret(3),
    cacheBytes: BATCH_BYTES,
    eviction: 'age',
    slotCount: 1,
    headroomBytes: 64,
  });
  const common = { firstRecordPage: 0, firstBlockPage: 0, pageCount: BATCH_PAGES, generation: 1 } as const;
  const bulk: Batch = { ...common, useXbzrle: false, fillCache: false };
  const later: Batch = { ...common, useXbzrle: true, fillCache: true };
  const pages = kernel.input(0);
  const encode = (batch: Batch): void => {
    kernel.begin(0);
    kernel.encodeBatch(0, batch);
  };
  let table = kernel.digests.slice();
  return [
    {
      name: 'batch: raw, becomes the frame',
      batch: () => {
        if (pages[0] === 0) fillRandom(pages, 4);
        kernel.digests.fill(0);
        encode(bulk);
      },
    },
    { name: 'batch: unchanged', batch: () => encode(bulk) },
    {
      name: 'batch: missed, learned',
      batch: () => {
        kernel.digests.fill(0);
        encode(later);
        table = kernel.digests.slice();
      },
    },
    {
      name: 'batch: 4 bytes a page, delta',
      batch: () => {
        kernel.digests.set(table);
        change(pages, 1024, 1);
        encode(later);
        table = kernel.digests.slice();
      },
    },
  ];
}

/** Changes `length` bytes of every `every`. */
function change(bytes: Uint8Array, every: number, length: number): void {
  for (let at = 0; at < bytes.length; at += every)
    for (let i = at; i < at + length; i++) bytes[i] = (bytes[i] ?? 0) ^ 1;
}

function time(batch: () => void): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < BATCHES_PER_RUN; i++) batch();
  return Number(process.hrtime.bigint() - start);
}
