import { mkdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { identityOf } from '../src/file-identity.ts';
import { findMappings, processStartTime } from '../src/mappings.ts';
import { mapFirstPage } from './file-calls.ts';
import { makeFolder, makeImage } from './image-folder.ts';

/** A process in a made-up /proc. */
function makeProcess(proc: string, pid: string, maps: readonly string[], stat?: string): void {
  mkdirSync(join(proc, pid));
  writeFileSync(join(proc, pid, 'maps'), maps.map((line) => `${line}\n`).join(''));
  const fields = Array.from({ length: 30 }, (_, index) => (index === 19 ? `77${pid}` : String(index)));
  writeFileSync(join(proc, pid, 'stat'), stat ?? `${pid} (a) b) (c) ${fields.join(' ')}\n`);
}

void t.test('our own mapping of a real file', async (t) => {
  t.plan(5);
  const image = makeImage(t, { pageCount: 4, dataPages: [1] });
  const ours = async (): Promise<object[]> => {
    const { mappers } = await findMappings(image);
    return mappers.filter(({ pid }) => pid === process.pid);
  };
  t.same(await ours(), [], 'an open file is not a mapped one');
  const startTime = processStartTime(process.pid);
  const unmapPrivate = mapFirstPage(image.fd, { isShared: false });
  t.same(await ours(), [{ pid: process.pid, startTime, isShared: false, isWritable: false }]);
  const unmapShared = mapFirstPage(image.fd, { isShared: true });
  t.same(await ours(), [{ pid: process.pid, startTime, isShared: true, isWritable: true }]);
  unlinkSync(image.path);
  unmapPrivate();
  t.same(
    await ours(),
    [{ pid: process.pid, startTime, isShared: true, isWritable: true }],
    'also without a name',
  );
  unmapShared();
  t.same(await ours(), []);
});

void t.test('what counts as a mapping of the image', async (t) => {
  const range = '7f7c57a00000-7f7c97a00000';
  const mine = { isShared: true, isWritable: true };
  const rows: readonly (readonly [label: string, lines: readonly string[], use: typeof mine | undefined])[] =
    [
      ['shared and writable', [`${range} rw-s 00000000 00:1a 4711    /dev/shm/a b.ram`], mine],
      ['deleted, another name', [`${range} rw-s 00000000 00:1a 4711 /dev/shm/x (deleted)`], mine],
      ['without a name', [`${range} rw-s 00000000 00:1a 4711`], mine],
      ['by path alone, as on overlay', [`${range} rw-s 00000000 fe:00 99 /dev/shm/a b.ram`], mine],
      ['private', [`${range} r--p 00000000 00:1a 4711 /a`], { isShared: false, isWritable: false }],
      [
        'several mappings',
        [
          `${range} r--s 00000000 00:1a 4711 /a`,
          `${range} rw-p 00001000 00:1a 4711 /a`,
          `${range} rw-p 00000000 00:00 0`,
        ],
        mine,
      ],
      ['another inode', [`${range} rw-s 00000000 00:1a 47110 /a`], undefined],
      ['another device', [`${range} rw-s 00000000 00:1b 4711 /a`], undefined],
      ['a longer path', [`${range} rw-s 00000000 00:1b 1 /dev/shm/a b.ram2`], undefined],
      ['no file', [`${range} rw-p 00000000 00:00 0 [heap]`, `${range} rw-p 00000000 00:00 0`], undefined],
      ['no memory at all', [], undefined],
    ];
  t.plan(rows.length);
  const file = { device: '00:1a', inode: '4711', path: '/dev/shm/a b.ram' };
  for (const [label, lines, use] of rows) {
    const proc = makeFolder(t);
    makeProcess(proc, '12', lines);
    const mappers = use === undefined ? [] : [{ pid: 12, startTime: 7712, ...use }];
    t.same(await findMappings(file, { proc }), { mappers, unreadable: [] }, label);
  }
});

void t.test('processes that cannot be seen are named, those that ended are not', async (t) => {
  t.plan(2);
  const proc = makeFolder(t);
  makeProcess(proc, '1', ['7f7c57a00000-7f7c97a00000 rw-s 00000000 00:1a 4711 /a']);
  mkdirSync(join(proc, '2', 'maps'), { recursive: true });
  mkdirSync(join(proc, '3'));
  makeProcess(proc, 'self', ['7f7c57a00000-7f7c97a00000 rw-s 00000000 00:1a 4711 /a']);
  const file = { device: '00:1a', inode: '4711', path: '/b' };
  t.same(await findMappings(file, { proc }), {
    mappers: [{ pid: 1, startTime: 771, isShared: true, isWritable: true }],
    unreadable: [2],
  });
  await t.rejects(findMappings(file, { proc: join(proc, 'none') }), {
    name: 'MemoryError',
    fault: { code: 'io', errno: 'ENOENT' },
  });
});

void t.test('the start time is field 22, whatever the name', (t) => {
  const proc = makeFolder(t);
  const numbers = Array.from({ length: 49 }, (_, index) => String(index + 4));
  const names = ['(node)', '(a b)', '(a) S 1 2 3)', '()', '((()', '(\n)'];
  t.plan(names.length + 2);
  for (const [index, name] of names.entries()) {
    makeProcess(proc, String(index + 1), [], `${index + 1} ${name} S ${numbers.join(' ')}\n`);
    t.equal(processStartTime(index + 1, { proc }), 22, name);
  }
  t.equal(processStartTime(999, { proc }), undefined, 'no such process');
  t.ok(Number(processStartTime(process.pid)) > 0);
});

void t.test('a device number is taken apart as the kernel joins it', (t) => {
  const rows: readonly (readonly [dev: bigint, device: string])[] = [
    [0x1an, '00:1a'],
    [0xfe00n, 'fe:00'],
    [0x456n, '04:56'],
    [0x100012n, '00:112'],
    [0xab000123cde45n, 'abcde:12345'],
  ];
  t.plan(rows.length);
  for (const [dev, device] of rows) t.equal(identityOf({ dev, ino: 2n ** 63n }).device, device);
});
