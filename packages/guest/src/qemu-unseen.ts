// Devices of a QEMU that write guest RAM, or give it back, in a way that sets no soft-dirty bit: in the pages of another
// process, by DMA without the processor's page tables, or by MADV_DONTNEED, which takes the bit along. Where one of these
// is there, what the guest wrote is found by a scan only.
import { askHumanMonitor, listProperties } from './qemu-commands.ts';
import type { QmpClient } from './qmp-client.ts';

const CONTAINERS = ['/machine/peripheral', '/machine/peripheral-anon'] as const;

/** Types of devices, and what they do. */
const DEVICES: readonly (readonly [RegExp, string])[] = [
  [/^virtio-balloon/, 'gives memory back and reports free pages'],
  [/^virtio-mem/, 'plugs and unplugs memory'],
  [/^vfio|^x-vfio|-vfio-/, 'writes by DMA of a host device'],
  [/^vhost-user-|^vhost-vdpa-/, 'writes from outside of QEMU'],
];

/** Network back ends of `info network` that write from outside of QEMU. */
const BACK_ENDS = /type=(vhost-user|vhost-vdpa)\b/g;

/** In words, a line a device; empty where every write is QEMU's own. */
export async function findUnseenWrites(client: QmpClient): Promise<readonly string[]> {
  const reasons: string[] = [];
  for (const container of CONTAINERS) {
    for (const { name, type } of await listProperties(client, container)) {
      const device = /^child<(.+)>$/.exec(type)?.[1] ?? '';
      const row = DEVICES.find(([pattern]) => pattern.test(device));
      if (row !== undefined) reasons.push(`the device ${container}/${name} (${device}) ${row[1]}`);
    }
  }
  for (const [, backEnd] of (await askHumanMonitor(client, 'info network')).matchAll(BACK_ENDS))
    reasons.push(`a network back end ${backEnd} writes from outside of QEMU`);
  return reasons;
}
