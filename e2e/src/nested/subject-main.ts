/**
 * A guest's process that does to its memory what it is told, one order a line: writes that set soft-dirty bits, and what
 * takes bits away or never sets any. It maps a file shared and answers each order with the line `done`.
 */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import koffi from 'koffi';
import { subjectOrder, type SubjectOrder } from './subject.ts';

const PAGE_BYTES = 4096;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MADV_DONTNEED = 4;
const MADV_REMOVE = 9;
const MADV_DONTFORK = 10;

const libc = koffi.load(null);
const mmap = libc.func(
  'uintptr_t mmap(uintptr_t at, size_t length, int protection, int flags, int fd, int64_t offset)',
);
const madvise = libc.func('int madvise(uintptr_t at, size_t length, int advice)');
const memset = libc.func('void *memset(uintptr_t at, int value, size_t length)');
const memcmp = libc.func('int memcmp(uintptr_t a, uintptr_t b, size_t length)');
const fork = libc.func('int fork()');
const waitpid = libc.func('int waitpid(int pid, void *status, int options)');
const exitNow = libc.func('void _exit(int status)');

const [path = '', mayFork = ''] = process.argv.slice(2);
const address = mapWhole(path);

function mapWhole(image: string): number {
  const fd = openSync(image, 'r+');
  const { size } = fstatSync(fd);
  const at = Number(mmap(0, size, PROT_READ_WRITE, MAP_SHARED, fd, 0));
  closeSync(fd);
  if (at === -1) throw new Error(`${image} cannot be mapped`);
  if (mayFork === '') advise(at, size / PAGE_BYTES, MADV_DONTFORK);
  return at;
}

function advise(at: number, pageCount: number, advice: number): void {
  if (Number(madvise(at, pageCount * PAGE_BYTES, advice)) !== 0) throw new Error(`madvise ${advice} failed`);
}

function carryOut({ deed, first, count, value }: SubjectOrder): void {
  const at = address + first * PAGE_BYTES;
  switch (deed) {
    case 'write':
      for (let page = 0; page < count; page += 1) memset(at + page * PAGE_BYTES, value, 64);
      break;
    case 'read':
      for (let page = 0; page < count; page += 1)
        memcmp(at + page * PAGE_BYTES, at + page * PAGE_BYTES + 64, 1);
      break;
    case 'drop':
      advise(at, count, MADV_DONTNEED);
      break;
    case 'punch':
      advise(at, count, MADV_REMOVE);
      break;
    case 'call':
      writeByCall(first, count, value);
      break;
    case 'fork':
      writeInFork(at, count, value);
      break;
  }
}

function writeByCall(first: number, count: number, value: number): void {
  const fd = openSync(path, 'r+');
  for (let page = first; page < first + count; page += 1)
    writeSync(fd, new Uint8Array(64).fill(value), 0, 64, page * PAGE_BYTES);
  closeSync(fd);
}

/** The child has this one thread alone; it does nothing else. */
function writeInFork(at: number, count: number, value: number): void {
  const pid = Number(fork());
  if (pid === 0) {
    for (let page = 0; page < count; page += 1) memset(at + page * PAGE_BYTES, value, 64);
    exitNow(0);
  }
  if (pid < 0) throw new Error('fork failed');
  waitpid(pid, null, 0);
}

createInterface({ input: process.stdin }).on('line', (line) => {
  carryOut(subjectOrder.parse(JSON.parse(line)));
  process.stdout.write('done\n');
});
process.stdout.write(`mapped ${address}\n`);
