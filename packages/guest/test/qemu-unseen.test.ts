// Which devices of a QEMU write past soft-dirty bits, against a scripted monitor.
import t from 'tap';
import { join } from 'node:path';
import { QemuGuest } from '../src/qemu-guest.ts';
import { FakeQemu } from './fake-qemu.ts';
import { socketFolder, type Teardown } from './scripted-monitor.ts';

async function unseen(
  t: Teardown,
  peripheral: Readonly<Record<string, string>>,
  networkTable = '',
): Promise<readonly string[]> {
  const qemu = await FakeQemu.listen(t, join(socketFolder(t), 'qmp'));
  Object.assign(qemu.objects, {
    '/machine/peripheral': { type: 'container', ...peripheral },
    '/machine/peripheral-anon': { 'device[0]': 'child<virtio-rng-pci>' },
  });
  qemu.networkTable = networkTable;
  const guest = new QemuGuest(qemu.identity, qemu.context);
  t.teardown(() => guest.close());
  return guest.unseenWrites();
}

void t.test('disks and networks of QEMU itself write where bits are set', async (t) => {
  const network = 'net0: index=0,type=nic,model=virtio-net-pci\r\n \\ hn0: index=0,type=tap,vhost=on\r\n';
  t.strictSame(
    await unseen(t, { disk0: 'child<virtio-blk-pci>', net0: 'child<virtio-net-pci>' }, network),
    [],
  );
});

void t.test('each of these is a reason to scan', async (t) => {
  const devices = {
    'virtio-balloon-pci': /balloon0 .* gives memory back/,
    'virtio-mem-pci': /plugs and unplugs/,
    'vfio-pci': /DMA of a host device/,
    'vfio-pci-nohotplug': /DMA of a host device/,
    'vhost-user-fs-pci': /outside of QEMU/,
    'vhost-vdpa-device-pci': /outside of QEMU/,
  } as const;
  t.plan(Object.keys(devices).length + 1);
  for (const [device, words] of Object.entries(devices)) {
    const [found] = await unseen(t, { balloon0: `child<${device}>` });
    t.match(found, words, device);
  }
  const network = 'net0: index=0,type=nic,model=virtio-net-pci\r\n \\ hn0: index=0,type=vhost-user,fd=3\r\n';
  t.strictSame(await unseen(t, {}, network), ['a network back end vhost-user writes from outside of QEMU']);
});
