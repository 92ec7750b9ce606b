// What is found against a QEMU before anything moves, its memory, and what two QEMUs are compared by.
import t from 'tap';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { QemuGuest } from '../src/qemu-guest.ts';
import { parseRamBlocks } from '../src/qemu-memory.ts';
import { FakeQemu, RAM_TABLE } from './fake-qemu.ts';
import { Refusal, socketFolder, type Teardown } from './scripted-monitor.ts';

const SIZE = 0x4000000;

interface Found {
  readonly qemu: FakeQemu;
  readonly guest: QemuGuest;
  /** Where files can be made. */
  readonly folder: string;
  readonly ram: string;
}

/** A running QEMU with its memory on a shared file. */
async function setUp(t: Teardown): Promise<Found> {
  const folder = socketFolder(t);
  const ram = join(folder, 'ram');
  writeFileSync(ram, '');
  const qemu = await FakeQemu.listen(t, join(folder, 'qmp'));
  qemu.giveMemory({ 'pc.ram': fileBackend(ram) });
  const guest = new QemuGuest(qemu.identity, qemu.context);
  t.teardown(() => guest.close());
  return { qemu, guest, folder, ram };
}

function fileBackend(path: string): { type: string; [property: string]: unknown } {
  return { type: 'memory-backend-file', share: true, size: SIZE, 'mem-path': path, readonly: false };
}

void t.test('nothing is against a guest whose memory is on a shared file', async (t) => {
  t.plan(4);
  const { guest, qemu, folder, ram } = await setUp(t);
  const link = join(folder, 'link');
  symlinkSync(ram, link);
  t.strictSame(await guest.preflight(null), []);
  t.strictSame(await guest.preflight([{ id: 'pc.ram', path: link }]), []);
  t.strictSame(await guest.blocks(), [{ id: 'pc.ram', path: ram, sizeBytes: SIZE }]);
  qemu.status = 'paused';
  t.strictSame(await guest.preflight(null), []);
});

void t.test('a run state, a migration, a blocker, a version', async (t) => {
  const table: readonly (readonly [string, (qemu: FakeQemu) => void, RegExp])[] = [
    ['never started', (qemu) => (qemu.status = 'prelaunch'), /never started/],
    ['waits for a migration', (qemu) => (qemu.status = 'inmigrate'), /waits for an incoming/],
    ['saved before', (qemu) => (qemu.status = 'postmigrate'), /saved already: it runs elsewhere now/],
    ['a state to come', (qemu) => (qemu.status = 'dreaming'), /run state of the guest is dreaming/],
    [
      'migrates',
      (qemu) => (qemu.migration = { status: 'active' }),
      /migration of its own under way \(active\)/,
    ],
    ['is blocked', (qemu) => (qemu.migration = { 'blocked-reasons': ['VFIO'] }), /^VFIO$/],
    ['is replaced in place', (qemu) => (qemu.parameters['mode'] = 'cpr-reboot'), /mode is cpr-reboot/],
    ['cannot', (qemu) => qemu.capabilities.delete('x-ignore-shared'), /no capability x-ignore-shared/],
    ['old', ({ monitor }) => (monitor.version = { major: 3, minor: 1, micro: 0 }), /QEMU 3\.1\.0 cannot/],
  ];
  t.plan(table.length);
  for (const [name, change, reason] of table) {
    const { qemu, guest } = await setUp(t);
    change(qemu);
    const reasons = await guest.preflight(null);
    t.match(reasons, [reason], name);
  }
});

void t.test('a failed or cancelled migration of before is nothing', async (t) => {
  t.plan(2);
  const { qemu, guest } = await setUp(t);
  for (const status of ['failed', 'cancelled']) {
    qemu.migration = { status };
    t.strictSame(await guest.preflight(null), []);
  }
});

void t.test('memory that would be lost, or would move in the pause', async (t) => {
  const V7 = { major: 7, minor: 2, micro: 0 };
  const V8 = { major: 8, minor: 1, micro: 0 };
  const memfd = { type: 'memory-backend-memfd', share: true, size: SIZE };
  const table: readonly (readonly [string, object, typeof V7, readonly RegExp[]])[] = [
    ['memfd is lost before 8.1', { more: memfd }, V7, [/more is shared memory without a file/]],
    ['memfd is sent since 8.1', { more: memfd }, V8, []],
    ['a folder', { 'mem-path': '.' }, V8, [/is given .*, which is no file/, /no memory/]],
    ['no file any more', { 'mem-path': './gone' }, V8, [/cannot be found: ENOENT/, /no memory/]],
    ['read-only', { readonly: true }, V8, [/is a read-only file/, /no memory/]],
    ['not from its start', { offset: 4096 }, V8, [/in the middle of its file/, /no memory/]],
    ['private', { share: false }, V8, [/pc\.ram is private/, /no memory/]],
  ];
  t.plan(table.length);
  for (const [name, change, version, reasons] of table) {
    const { qemu, guest, folder, ram } = await setUp(t);
    qemu.monitor.version = version;
    const { more, ...own } = { more: undefined, 'mem-path': ram, ...change };
    const path = join(folder, own['mem-path'] === ram ? 'ram' : own['mem-path']);
    const backend = { ...fileBackend(path), ...own, 'mem-path': path };
    qemu.giveMemory({ 'pc.ram': backend, ...(more === undefined ? {} : { more: memfd }) });
    t.match(await guest.preflight(null), reasons.length === 0 ? [] : reasons, name);
  }
});

void t.test('a relative path is relative to where QEMU works', async (t) => {
  t.plan(1);
  const { qemu, guest } = await setUp(t);
  qemu.giveMemory({ 'pc.ram': fileBackend('ram') });
  // The fake has a pid of its own; whoever has it here, there is no such file.
  t.match((await guest.preflight(null))[0], /ram, cannot be found: E/);
});

void t.test('a QEMU with plain -m is told how to have its memory on a file', async (t) => {
  t.plan(1);
  const { qemu, guest } = await setUp(t);
  qemu.giveMemory({ 'ram-node0': { type: 'memory-backend-ram', share: false, size: SIZE } });
  const advice = /on a shared file: .*memory-backend-file,.*share=on -machine memory-backend=pc\.ram$/;
  t.match(await guest.preflight(null), [advice]);
});

void t.test('what is not on shared files is summed', async (t) => {
  t.plan(2);
  const { qemu, guest } = await setUp(t);
  qemu.ramTable = `${RAM_TABLE}   dimm    2 MiB  0x0000000010000000 0x0000000010000000 0x0000000010000000 0x00007f0000000000 rw\n`;
  const reasons = await guest.preflight(null);
  t.match(reasons, [/^273 MiB of the guest's memory .* 256 MiB at most/]);
  t.equal(reasons.length, 1);
});

void t.test('the request and the guest name the same blocks', async (t) => {
  t.plan(3);
  const { qemu, guest, ram, folder } = await setUp(t);
  t.match(await guest.preflight([{ id: 'pc.ram', path: '/elsewhere' }]), [
    /pc\.ram of the guest is .*, the request says/,
  ]);
  t.match(await guest.preflight([{ id: 'other', path: ram }]), [
    /no memory block other on a shared file; it has: pc\.ram/,
    /pc\.ram of the guest \(.*\) is not in the request/,
  ]);
  writeFileSync(join(folder, 'dimm'), '');
  qemu.giveMemory({ 'pc.ram': fileBackend(ram), dimm: fileBackend(join(folder, 'dimm')) });
  t.match(await guest.preflight([{ id: 'pc.ram', path: ram }]), [
    /dimm of the guest \(.*\) is not in the request/,
  ]);
});

void t.test('tables of blocks, as versions print them', (t) => {
  t.plan(4);
  t.strictSame(parseRamBlocks(RAM_TABLE, '/m')[2], {
    name: '/rom@etc/acpi/tables',
    usedBytes: 0x20000,
    maxBytes: 0x200000,
  });
  // Since 8.2 with the address and the access.
  const newer = `Block Name    PSize              Offset               Used              Total                HVA  RO
  mem    1 GiB  0x0000000000000000 0x0000000140000000 0x0000000140000000 0x00007f0a40000000  rw\n`;
  t.strictSame(parseRamBlocks(newer, '/m'), [{ name: 'mem', usedBytes: 0x140000000, maxBytes: 0x140000000 }]);
  t.throws(() => parseRamBlocks(`${RAM_TABLE}what is this\n`, '/m'), {
    name: 'GuestError',
    fault: { code: 'monitor-malformed', path: '/m' },
  });
  t.throws(() => parseRamBlocks('', '/m'), { name: 'GuestError', fault: { code: 'monitor-malformed' } });
});

void t.test('an answer that is not as QEMU answers is an error by name', async (t) => {
  t.plan(2);
  const { qemu, guest } = await setUp(t);
  qemu.monitor.answers.set('query-status', () => ({ status: 7 }));
  await t.rejects(guest.runState(), {
    name: 'GuestError',
    fault: { code: 'monitor-malformed', path: qemu.qmp },
    message: /query-status answered/,
  });
  qemu.monitor.answers.set('human-monitor-command', () => new Refusal('no HMP'));
  await t.rejects(guest.blocks(), { name: 'GuestError', message: /human-monitor-command failed .*: no HMP/ });
});

void t.test('facts: what both sides must have in common', async (t) => {
  t.plan(1);
  const { qemu, guest } = await setUp(t);
  Object.assign(qemu.objects, {
    '/machine': { type: 'pc-q35-7.2-machine' },
    '/machine/peripheral': { type: 'container', net0: 'child<virtio-net-pci>', cd0: 'child<scsi-cd>' },
    '/machine/peripheral/net0': { addr: 0x1a, parent_bus: '/machine/q35/pcie.0', mac: '52:54:00:12:34:56' },
    '/machine/peripheral/cd0': { parent_bus: '/machine/peripheral/s0/virtio-backend/s0.0' },
    '/machine/peripheral-anon': { 'device[0]': 'child<isa-debugcon>' },
    '/machine/peripheral-anon/device[0]': { parent_bus: '' },
    '/machine/unattached': {
      'device[0]': 'child<qemu64-x86_64-cpu>',
      'device[1]': 'child<qemu64-x86_64-cpu>',
      'device[2]': 'child<hpet>',
      'io[0]': 'child<memory-region>',
    },
  });
  const image = { 'virtual-size': 1048576, filename: '/srv/a.raw' };
  qemu.disks = [
    {
      device: 'drive0',
      qdev: '/machine/peripheral/disk0/virtio-backend',
      inserted: { ro: false, drv: 'raw', image },
    },
    { device: '', qdev: 'cd0' },
    { device: 'floppy0', inserted: { ro: true, drv: 'qcow2', image } },
  ];
  t.strictSame(await guest.facts(), [
    'cpu qemu64-x86_64-cpu x 2',
    'cpus 2',
    'device /machine/peripheral-anon/device[0] isa-debugcon',
    'device /machine/peripheral/cd0 scsi-cd on /machine/peripheral/s0/virtio-backend/s0.0',
    'device /machine/peripheral/net0 virtio-net-pci on /machine/q35/pcie.0 at 03.2',
    'disk /machine/peripheral/disk0/virtio-backend size 1048576 rw raw',
    'disk cd0 empty',
    'disk floppy0 size 1048576 ro qcow2',
    'machine pc-q35-7.2',
    'memory /rom@etc/acpi/tables 2097152',
    'memory 0000:00:02.0/vga.vram 16777216',
    'memory pc.ram 67108864',
  ]);
});
