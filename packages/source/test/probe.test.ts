import { ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DigestTable, ImageReader, ScanTracker, Shard } from '@pageferry/memory';
import { system } from '@pageferry/transport';
import { BATCH_PAGES, PAGE_SIZE, SECRET_BYTES, zeroDigest } from '@pageferry/xbzrle';
import { probeScan, type ScanProbe } from '../src/engine/probe.ts';

const BATCH_BYTES = BATCH_PAGES * PAGE_SIZE;

/** Of a file of 64 batches whose first ones are data. */
function probe(t: Test, dataBatches: number): ScanProbe {
  const pageCount = 64 * BATCH_PAGES;
  const path = join(t.testdir(), 'image');
  const fd = openSync(path, 'w+');
  for (let batch = 0; batch < dataBatches; batch += 1) writeSync(fd, Buffer.alloc(BATCH_BYTES, batch + 1));
  ftruncateSync(fd, pageCount * PAGE_SIZE);
  const secret = new Uint8Array(SECRET_BYTES).fill(7);
  const image = { fd, path, sizeBytes: pageCount * PAGE_SIZE };
  const reader = new ImageReader({ image, calls: system });
  const shard = new Shard({ pageCount, stream: 0, streamCount: 1 });
  const table = new DigestTable({ pageCount, zeroDigest: zeroDigest(secret) });
  return probeScan([{ reader, tracker: new ScanTracker({ reader, shard, table }) }], secret);
}

const cases: readonly (readonly [name: string, dataBatches: number, measuredBatches: number])[] = [
  ['nothing but holes', 0, 0],
  ['one batch, which does not count', 1, 0],
  ['a few', 4, 3],
  ['more than it reads', 64, 16],
];

for (const [name, dataBatches, measuredBatches] of cases) {
  void t.test(name, (t) => {
    t.plan(2);
    const { bytes, ms } = probe(t, dataBatches);
    t.equal(bytes, measuredBatches * BATCH_BYTES);
    t.ok(ms > 0);
  });
}
