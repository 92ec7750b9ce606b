import t, { type Test } from 'tap';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TransportError } from '../src/errors.ts';
import { system } from '../src/system.ts';

const MIB = 1024 * 1024;

function faultOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error instanceof TransportError ? error.fault : error;
  }
  return undefined;
}

function temporaryFile(t: Test): { fd: number; path: string } {
  const directory = mkdtempSync(join(tmpdir(), 'pageferry-'));
  const path = join(directory, 'file');
  const fd = openSync(path, 'w+');
  t.teardown(() => {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });
  return { fd, path };
}

void t.test('holes and data are found, and a punched hole reads as zeros', (t) => {
  const { fd } = temporaryFile(t);
  ftruncateSync(fd, 4 * MIB);
  writeSync(fd, Buffer.alloc(MIB, 7), 0, MIB, 2 * MIB);
  t.equal(system.seekData(fd, 0), 2 * MIB);
  t.equal(system.seekHole(fd, 2 * MIB), 3 * MIB);
  t.equal(system.seekData(fd, 3 * MIB), -1);
  system.punchHole(fd, 2 * MIB, MIB);
  t.equal(system.seekData(fd, 0), -1);
  const page = Buffer.alloc(4096, 1);
  readSync(fd, page, 0, 4096, 2 * MIB);
  t.ok(page.every((byte) => byte === 0));
  t.end();
});

void t.test('offsets beyond 4 GiB are not truncated', (t) => {
  const { fd } = temporaryFile(t);
  const far = 5 * 1024 * MIB;
  ftruncateSync(fd, far + MIB);
  writeSync(fd, Buffer.alloc(4096, 7), 0, 4096, far);
  t.equal(system.seekData(fd, 0), far);
  t.end();
});

void t.test('an exclusive lock is held by one open file, and a duplicate keeps it', (t) => {
  const { fd, path } = temporaryFile(t);
  t.equal(system.tryLockExclusive(fd), true);
  const second = openSync(path, 'r');
  t.equal(system.tryLockExclusive(second), false);
  const duplicate = system.duplicate(fd);
  t.not(duplicate, fd);
  closeSync(duplicate);
  t.equal(system.tryLockExclusive(second), false, 'closing a duplicate releases nothing');
  closeSync(second);
  t.end();
});

void t.test('errors carry the call and the errno', (t) => {
  const bad = { code: 'SYSTEM_CALL', errno: 'EBADF' };
  t.match(
    faultOf(() => system.seekData(99_999, 0)),
    { ...bad, syscall: 'lseek(SEEK_DATA)' },
  );
  t.match(
    faultOf(() => system.duplicate(99_999)),
    { ...bad, syscall: 'dup' },
  );
  t.throws(() => system.punchHole(99_999, 0, 4096), { code: 'EBADF' });
  t.end();
});
