/** A program for tests: maps a file shared and writable, as a running guest does, and stays until it is ended. */
import { openSync, fstatSync } from 'node:fs';
import koffi from 'koffi';

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const STAY_MS = 600_000;

const mmap = koffi
  .load(null)
  .func('void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)');

const file = openSync(process.argv[2] ?? '', 'r+');
mmap(null, fstatSync(file).size, PROT_READ_WRITE, MAP_SHARED, file, 0);
process.stdout.write('mapped\n');
setTimeout(() => undefined, STAY_MS);
