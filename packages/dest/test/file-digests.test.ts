import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DigestTable, ImageReader, Shard } from '@pageferry/memory';
import { system } from '@pageferry/transport';
import { DestinationKernel, DIGEST_BYTES, zeroDigest } from '@pageferry/xbzrle';
import t, { type Test } from 'tap';
import { Audit } from '../src/engine/audit.ts';
import { FileDigests } from '../src/engine/file-digests.ts';

const PAGE = 4096;
/** Three extents, the last one short, the second one a hole. */
const PAGE_COUNT = 512 + 512 + 10;
const secret = new Uint8Array(192).map((_, index) => index);

function open(t: Test): { fd: number; table: DigestTable; shard: Shard; file: FileDigests } {
  const directory = mkdtempSync(join(tmpdir(), 'pageferry-'));
  const fd = openSync(join(directory, 'image'), 'w+');
  t.teardown(() => {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });
  ftruncateSync(fd, PAGE_COUNT * PAGE);
  writeSync(fd, Buffer.alloc(512 * PAGE, 0x55), 0, 512 * PAGE, 0);
  writeSync(fd, Buffer.alloc(10 * PAGE, 0x66), 0, 10 * PAGE, 1024 * PAGE);
  const shard = new Shard({ pageCount: PAGE_COUNT, stream: 0, streamCount: 1 });
  const table = new DigestTable({ pageCount: PAGE_COUNT, zeroDigest: zeroDigest(secret) });
  const reader = new ImageReader({
    image: { fd, path: 'image', sizeBytes: PAGE_COUNT * PAGE },
    calls: system,
  });
  const kernel = new DestinationKernel({ secret });
  return { fd, table, shard, file: new FileDigests({ shard, reader, table, kernel }) };
}

function digestOf(table: DigestTable, page: number): string {
  const bytes = new Uint8Array(DIGEST_BYTES);
  table.load(page, 1, bytes);
  return Buffer.from(bytes).toString('hex');
}

void t.test('what is in a file is known after it was digested', (t) => {
  const { table, file } = open(t);
  file.load();
  t.equal(digestOf(table, 0), digestOf(table, 511), 'the same bytes');
  t.not(digestOf(table, 0), digestOf(table, 1024));
  t.ok(table.isZeroExtent(1), 'a whole hole takes no memory');
  t.equal(digestOf(table, 600), Buffer.from(zeroDigest(secret)).toString('hex'));
  t.end();
});

void t.test('the audit finds an extent that changed behind it, once, and says what is there', (t) => {
  const { fd, table, shard, file } = open(t);
  file.load();
  const rootBefore = Buffer.from(table.blockRoot()).toString('hex');
  const audit = new Audit([file]);
  for (const { chunk } of shard.chunks()) audit.wrote(0, chunk);
  t.same(audit.run(Infinity), [], 'nothing has changed');
  t.ok(audit.isDone);

  writeSync(fd, Buffer.of(1), 0, 1, 700 * PAGE);
  t.same(audit.run(Infinity), [], 'what was read back since it was written is not read again');
  audit.wrote(0, 1);
  t.same(audit.run(Infinity), [{ block: 0, extent: 1 }]);
  t.not(Buffer.from(table.blockRoot()).toString('hex'), rootBefore, 'the roots will differ now');
  audit.wrote(0, 1);
  t.same(audit.run(Infinity), [], 'the table says what is there');
  t.end();
});

void t.test('the audit stops when its time is over', (t) => {
  const { shard, file } = open(t);
  const audit = new Audit([file]);
  for (const { chunk } of shard.chunks()) audit.wrote(0, chunk);
  t.same(audit.run(0), []);
  t.notOk(audit.isDone);
  t.end();
});

void t.test('a file that was cut short is said to be', (t) => {
  const { fd, file } = open(t);
  file.checkSize();
  ftruncateSync(fd, PAGE);
  t.throws(() => file.checkSize(), { name: 'MemoryError' });
  t.end();
});
