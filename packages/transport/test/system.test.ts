import t, { type Test } from 'tap';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { TransportError } from '../src/errors.ts';
import { system } from '../src/system.ts';

// Node's types do not declare it.
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};

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

void t.test('bytes are written through a mapping, at any place', (t) => {
  const { fd } = temporaryFile(t);
  ftruncateSync(fd, 8 * MIB);
  const bytes = Buffer.alloc(3 * MIB, 7);
  // Begins and ends within what is mapped at a time.
  system.writeMapped(fd, MIB + 4096, bytes, 2 * MIB);
  const read = Buffer.alloc(8 * MIB);
  readSync(fd, read, 0, read.length, 0);
  const wanted = Buffer.alloc(8 * MIB);
  bytes.copy(wanted, MIB + 4096);
  t.ok(read.equals(wanted), 'they are there, and nothing else changed');
  t.throws(() => system.writeMapped(-1, 0, bytes, 4096), { code: 'EBADF' });
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

void t.test('a file is mapped over WebAssembly memory; a hole is not resident, and stays one', (t) => {
  const { fd } = temporaryFile(t);
  ftruncateSync(fd, 4 * MIB);
  writeSync(fd, Buffer.alloc(MIB, 7), 0, MIB, 2 * MIB);
  const memory = new Uint8Array(new WebAssembly.Memory({ initial: 64, maximum: 64 }).buffer);
  const window = memory.subarray(65536, 65536 + 2 * MIB);
  system.mapReadOnly(fd, MIB, window);
  const resident = new Uint8Array(512);
  system.residentPages(window, resident);
  t.same([...resident].map((state) => state & 1).indexOf(1), 256);
  system.populate(window.subarray(MIB));
  t.equal(window[MIB], 7);
  writeSync(fd, Buffer.alloc(1, 9), 0, 1, 2 * MIB);
  t.equal(window[MIB], 9, 'what is written to the file is seen');
  t.equal(memory[65536 + 2 * MIB], 0, 'memory behind it is as it was');
  t.equal(system.seekData(fd, 0), 2 * MIB);
  t.match(
    faultOf(() => system.mapReadOnly(99_999, 0, window)),
    { code: 'SYSTEM_CALL', syscall: 'mmap', errno: 'EBADF' },
  );
  t.match(
    faultOf(() => system.mapReadOnly(fd, 1, window)),
    { syscall: 'mmap', errno: 'EINVAL' },
  );
  t.match(
    faultOf(() => system.residentPages(memory.subarray(1, 4097), resident)),
    { syscall: 'mincore', errno: 'EINVAL' },
  );
  t.end();
});

void t.test(
  'a read lease is held until somebody opens the file for writing, which ends nobody',
  async (t) => {
    t.plan(5);
    const folder = mkdtempSync('/dev/shm/pageferry-');
    t.teardown(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'file');
    const writable = openSync(path, 'w');
    const fd = openSync(path, 'r');
    t.match(
      faultOf(() => system.takeReadLease(fd)),
      { syscall: 'fcntl(F_SETLEASE)', errno: 'EAGAIN' },
    );
    closeSync(writable);
    system.takeReadLease(fd);
    t.ok(system.hasReadLease(fd));
    const writer = spawn(process.execPath, ['-e', `fs.openSync(${JSON.stringify(path)}, 'a')`]);
    while (system.hasReadLease(fd)) await new Promise((resolve) => setTimeout(resolve, 5));
    t.equal(writer.exitCode, null, 'the writer waits, and the signal is ignored');
    closeSync(fd);
    t.same(await once(writer, 'close'), [0, null]);
    t.match(
      faultOf(() => system.takeReadLease(-1)),
      { syscall: 'fcntl(F_SETSIG)', errno: 'EBADF' },
    );
  },
);

void t.test('names the process that listens at a UNIX socket', async (t) => {
  t.plan(2);
  const path = join(mkdtempSync(join(tmpdir(), 'pageferry-')), 'socket');
  t.teardown(() => rmSync(dirname(path), { recursive: true }));
  const script = `require('node:net').createServer(() => {}).listen(${JSON.stringify(path)}, () => console.log())`;
  const peer = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => peer.kill());
  await once(peer.stdout, 'data');
  const socket = connect(path);
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : null;
  t.equal(system.peerPid(Number(fd)), peer.pid);
  t.strictSame(
    faultOf(() => system.peerPid(-1)),
    { code: 'SYSTEM_CALL', syscall: 'getsockopt(SO_PEERCRED)', errno: 'EBADF' },
  );
});
