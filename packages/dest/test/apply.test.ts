import t, { type Test } from 'tap';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DigestTable, ImageWriter, Shard } from '@pageferry/memory';
import {
  encodePageRecords,
  PAGES_HEADER_BYTES,
  PageRecordTable,
  RECORD_KIND,
  type PageRecord,
} from '@pageferry/protocol';
import { SharedCounters, system } from '@pageferry/transport';
import { DestinationKernel, digest, encode, mix, addRoots, ZERO_ROOT, zeroDigest } from '@pageferry/xbzrle';
import { FrameApplier } from '../src/engine/apply.ts';
import { BlockWriter } from '../src/engine/block-writer.ts';
import { COUNTER_NAMES, type StreamCounters } from '../src/engine/counters.ts';

const PAGE = 4096;
const PAGE_COUNT = 1100;
const secret = Uint8Array.from({ length: 192 }, (_, index) => (index * 7 + 3) & 255);
const page = (seed: number): Uint8Array =>
  Uint8Array.from({ length: PAGE }, (_, index) => (index * seed + (index >> 3)) & 255);

interface Bench {
  readonly block: BlockWriter;
  readonly counters: StreamCounters;
  readonly apply: (records: readonly PageRecord[]) => void;
  readonly read: (pageIndex: number) => Uint8Array;
}

/** A stream of `streamCount` over a real file of random bytes. */
function bench(t: Test, stream = 0, streamCount = 1): Bench {
  const directory = mkdtempSync(join(tmpdir(), 'pageferry-'));
  const fd = openSync(join(directory, 'image'), 'w+');
  t.teardown(() => {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });
  ftruncateSync(fd, PAGE_COUNT * PAGE);
  writeSync(fd, Buffer.alloc(PAGE_COUNT * PAGE, 0x55));
  const kernel = new DestinationKernel({ secret });
  const shard = new Shard({ pageCount: PAGE_COUNT, stream, streamCount });
  const table = new DigestTable({ pageCount: PAGE_COUNT, zeroDigest: zeroDigest(secret) });
  const writer = new ImageWriter({
    image: { fd, path: 'image', sizeBytes: PAGE_COUNT * PAGE },
    calls: system,
  });
  const block = new BlockWriter({ index: 0, shard, writer, table, kernel, wrote: () => undefined });
  const counters = new SharedCounters(COUNTER_NAMES, SharedCounters.allocate(COUNTER_NAMES));
  const applier = new FrameApplier(kernel, counters);
  const records = new PageRecordTable();
  return {
    block,
    counters,
    apply: (list) => {
      const encoded = encodePageRecords(list);
      kernel.frame.set(encoded, PAGES_HEADER_BYTES);
      records.decode(
        kernel.frame.subarray(0, PAGES_HEADER_BYTES + encoded.length),
        PAGES_HEADER_BYTES,
        shard.localPageLimit,
      );
      applier.apply(block, records);
    },
    read: (pageIndex) => {
      const bytes = new Uint8Array(PAGE);
      readSync(fd, bytes, 0, PAGE, pageIndex * PAGE);
      return bytes;
    },
  };
}

function delta(from: Uint8Array, to: Uint8Array): Uint8Array {
  const out = new Uint8Array(PAGE);
  return out.slice(0, encode(from, to, out));
}

const rootOf = (pages: readonly [index: number, content: Uint8Array][]): Uint8Array =>
  pages.reduce((sum, [index, content]) => addRoots(sum, mix(index, digest(content, secret))), ZERO_ROOT);

void t.test('zero, normal and delta pages end up in the file, and the root says so', (t) => {
  const { apply, read, block, counters } = bench(t);
  const base = page(3);
  const changed = Uint8Array.from(base);
  changed.set([9, 9, 9], 100);
  const other = Uint8Array.from(page(5));
  other.fill(1, 4000);
  apply([
    { kind: RECORD_KIND.normal, firstPage: 5, count: 2, pages: Buffer.concat([base, page(5)]) },
    { kind: RECORD_KIND.zero, firstPage: 10, count: 3 },
  ]);
  t.same(read(5), base);
  t.same(read(6), page(5));
  t.same(read(11), new Uint8Array(PAGE));
  t.same(read(13), new Uint8Array(PAGE).fill(0x55), 'the page after a run is untouched');
  apply([
    { kind: RECORD_KIND.xbzrle, firstPage: 5, payload: delta(base, changed) },
    { kind: RECORD_KIND.xbzrle, firstPage: 6, payload: delta(page(5), other) },
  ]);
  t.same(read(5), changed);
  t.same(read(6), other);
  const zero = new Uint8Array(PAGE);
  t.same(
    block.root,
    rootOf([
      [5, changed],
      [6, other],
      [10, zero],
      [11, zero],
      [12, zero],
    ]),
  );
  t.same([counters.get('normal'), counters.get('zero'), counters.get('xbzrlePages')], [2, 3, 2]);
  t.end();
});

void t.test("a run crosses chunks in the stream's own index", (t) => {
  const { apply, read, block } = bench(t, 1, 2);
  // Stream 1 of 2 has chunk 1 only (pages 512 to 1023) of 1,100 pages: chunk 2 is stream 0's.
  t.equal(block.shard.localPageLimit, 512);
  apply([{ kind: RECORD_KIND.normal, firstPage: 0, count: 1, pages: page(3) }]);
  t.same(read(512), page(3));
  const single = bench(t);
  const pages = Buffer.concat([page(3), page(5), page(7)]);
  single.apply([{ kind: RECORD_KIND.normal, firstPage: 511, count: 3, pages }]);
  t.same([single.read(511), single.read(512), single.read(513)], [page(3), page(5), page(7)]);
  single.apply([{ kind: RECORD_KIND.zero, firstPage: 0, count: PAGE_COUNT }]);
  t.same(single.read(1099), new Uint8Array(PAGE));
  const zero = new Uint8Array(PAGE);
  t.same(single.block.root, rootOf(Array.from({ length: PAGE_COUNT }, (_, index) => [index, zero])));
  t.end();
});

void t.test('a malformed delta among good ones changes nothing of its run', (t) => {
  const { apply, read } = bench(t);
  const base = page(3);
  const good = delta(base, Uint8Array.from(base).fill(1, 0, 100));
  apply([{ kind: RECORD_KIND.normal, firstPage: 5, count: 2, pages: Buffer.concat([base, base]) }]);
  const hostile: readonly [string, Uint8Array][] = [
    ['truncated literal', good.subarray(0, good.length - 1)],
    ['beyond the page', Uint8Array.of(0xff, 0x1f, 5, 1, 2, 3, 4, 5)],
    ['empty run', Uint8Array.of(0, 0)],
  ];
  for (const [name, payload] of hostile) {
    t.throws(
      () =>
        apply([
          { kind: RECORD_KIND.xbzrle, firstPage: 5, payload: good },
          { kind: RECORD_KIND.xbzrle, firstPage: 6, payload },
        ]),
      { name: 'MalformedDelta', message: /page 6 of block 0/ },
      name,
    );
    t.same([read(5), read(6)], [base, base], `${name}: nothing written`);
  }
  t.end();
});
