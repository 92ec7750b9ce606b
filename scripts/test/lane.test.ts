// The sequences themselves: reproducible, idempotent, on their own pages only, and the docs lane is the docs program.
import t from 'tap';
import { createHash } from 'node:crypto';
import { DocsLane } from '../src/workload/docs-lane.ts';
import { decodeHeader, encodeHeader } from '../src/workload/header.ts';
import { PAGE_BYTES } from '../src/workload/initial-image.ts';
import { lanesOf } from '../src/workload/lane.ts';
import type { Lane, WorkloadPlan } from '../src/workload/lane.ts';
import { RandomLane } from '../src/workload/random-lane.ts';
import { fillRandom, mix } from '../src/workload/random.ts';

const both: WorkloadPlan = { program: 'both', seed: 7, range: { first: 10, count: 100 }, zeroShare: 0.2 };

/** Memory after operations `from` to `to`. */
function apply(memory: Buffer, lane: Lane, from: number, to: number): Buffer {
  for (let operation = from; operation <= to; operation += 1)
    for (const write of lane.writesOf(operation))
      memory.set(write.bytes, lane.pageOf(operation) * PAGE_BYTES + write.offsetBytes);
  return memory;
}

const pagesOf = (lane: Lane) => new Set(Array.from({ length: 5000 }, (_, index) => lane.pageOf(index + 1)));
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

void t.test('the docs lane is the program of docs/xbzrle.txt', (t) => {
  const pageCount = 8;
  const passes = [1, 2, 255, 256, 257];
  t.plan(passes.length);
  for (const pass of passes) {
    const expected = Buffer.alloc((pageCount + 1) * PAGE_BYTES);
    for (let count = 0; count < pass; count += 1)
      for (let offset = PAGE_BYTES; offset < expected.length; offset += 1024)
        expected[offset] = ((expected[offset] ?? 0) + 1) % 256;
    const lane = new DocsLane(1, 0, pageCount + 1);
    const found = apply(Buffer.alloc(expected.length), lane, 1, pass * pageCount);
    t.ok(found.equals(expected), `${pass} passes`);
  }
});

void t.test('operations before the first visible one are written over', (t) => {
  t.plan(2);
  const lane = new DocsLane(1, 0, 9);
  const all = apply(Buffer.alloc(9 * PAGE_BYTES), lane, 1, 100);
  t.equal(lane.firstVisible(100), 93);
  t.ok(apply(Buffer.alloc(9 * PAGE_BYTES), lane, lane.firstVisible(100), 100).equals(all));
});

void t.test('an operation done twice is as good as once', (t) => {
  t.plan(2);
  for (const lane of lanesOf(both)) {
    const once = apply(Buffer.alloc(110 * PAGE_BYTES), lane, 1, 500);
    t.ok(apply(Buffer.from(once), lane, 500, 500).equals(once), lane.name);
  }
});

void t.test('lanes keep to their own pages and leave the headers alone', (t) => {
  t.plan(6);
  const [docs, random] = lanesOf(both);
  if (docs === undefined || random === undefined) throw new Error('two lanes');
  const docsPages = pagesOf(docs);
  const randomPages = pagesOf(random);
  t.equal(docsPages.size, 49, 'half of the range, less the header');
  t.equal(randomPages.size, 49, 'every other page');
  t.strictSame(new Set([...docsPages, ...randomPages]).size, 98, 'none in common');
  t.notOk([...docsPages, ...randomPages].some((page) => page < 10 || page >= 110));
  for (const lane of [docs, random])
    t.notOk(docsPages.has(lane.headerPage) || randomPages.has(lane.headerPage));
});

void t.test('the random lane does every kind of write', (t) => {
  t.plan(5);
  const lane = new RandomLane(3, [{ first: 0, count: 50 }], 0.25);
  const lengths: number[] = [];
  let zeros = 0;
  for (let operation = 1; operation <= 4000; operation += 1)
    for (const { bytes, offsetBytes } of lane.writesOf(operation)) {
      lengths.push(offsetBytes + bytes.length > PAGE_BYTES ? NaN : bytes.length);
      if (bytes.length === PAGE_BYTES && bytes.every((byte) => byte === 0)) zeros += 1;
    }
  t.notOk(lengths.some(Number.isNaN), 'inside the page');
  t.ok(zeros > 900 && zeros < 1100, `${zeros} of 4,000 zero pages, expected 1,000`);
  t.ok(lengths.filter((length) => length === PAGE_BYTES).length - zeros > 600, 'whole pages');
  t.ok(lengths.filter((length) => length === 4).length > 600, 'counters');
  t.ok(lengths.filter((length) => length !== 4 && length <= 512).length > 1200, 'parts');
});

void t.test('the same seed gives the same bytes, on any machine', (t) => {
  t.plan(4);
  const words = new Uint32Array(1024);
  fillRandom(words, 42);
  t.equal(mix(1, 2, 3), 3449988991);
  t.not(mix(1, 2 ** 32), mix(1, 0), 'counts beyond 32 bits count');
  t.equal(sha256(new Uint8Array(words.buffer)), 'b1d02c21ce3db0be');
  const memory = Buffer.alloc(110 * PAGE_BYTES);
  for (const lane of lanesOf(both)) apply(memory, lane, 1, 1000);
  t.equal(sha256(memory), '8a37b6e85886329f');
});

void t.test('a header is the lane’s own and whole, or it is none', (t) => {
  const [docs, random] = lanesOf(both);
  if (docs === undefined || random === undefined) throw new Error('two lanes');
  const header = encodeHeader(docs, 2 ** 40 + 1);
  t.plan(header.length + 3);
  t.equal(decodeHeader(docs, header), 2 ** 40 + 1);
  t.match(decodeHeader(random, header), /another lane/);
  t.match(decodeHeader(new DocsLane(8, 10, 50), header), /another seed/);
  for (let index = 0; index < header.length; index += 1) {
    const broken = Uint8Array.from(header, (byte, at) => (at === index ? byte ^ 1 : byte));
    t.type(decodeHeader(docs, broken), 'string', `byte ${index}`);
  }
});
