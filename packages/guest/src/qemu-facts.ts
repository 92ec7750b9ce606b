// What two QEMUs must have in common for one to load the other's state, one fact a line, so that a difference can be
// shown before anything moves. What may differ between hosts is not in it: paths, network back ends, host devices.
// QEMU itself checks much of this, but in the pause, and an answer then is a rollback.
import { z } from 'zod';
import {
  countCpus,
  getProperty,
  listProperties,
  queryBlock,
  type BlockDevice,
  type QomProperty,
} from './qemu-commands.ts';
import type { QemuMemory } from './qemu-memory.ts';
import type { QmpClient } from './qmp-client.ts';

const CHILD = /^child<(.+)>$/;
const text = z.string();

/** Sorted. */
export async function readFacts(client: QmpClient, memory: QemuMemory): Promise<readonly string[]> {
  const machine = await getProperty(client, '/machine', 'type', text);
  const facts = [
    `machine ${machine.replace(/-machine$/, '')}`,
    `cpus ${await countCpus(client)}`,
    ...memory.ramBlocks.map(({ name, maxBytes }) => `memory ${name} ${maxBytes}`),
    ...(await deviceFacts(client, '/machine/peripheral')),
    ...(await deviceFacts(client, '/machine/peripheral-anon')),
    ...processorFacts(await listProperties(client, '/machine/unattached')),
    ...(await queryBlock(client)).map(diskFact),
  ];
  return facts.sort();
}

/** Devices of the command line and hot-plugged ones: type, and where they are plugged in. */
async function deviceFacts(client: QmpClient, container: string): Promise<readonly string[]> {
  const facts: string[] = [];
  for (const { name, type } of await listProperties(client, container)) {
    const device = CHILD.exec(type)?.[1];
    if (device === undefined) continue;
    const path = `${container}/${name}`;
    facts.push(`device ${path} ${device}${await placeOf(client, path)}`);
  }
  return facts;
}

/** Bus and PCI slot: state is found again by them, not by the device's name. */
async function placeOf(client: QmpClient, path: string): Promise<string> {
  const properties = new Set((await listProperties(client, path)).map(({ name }) => name));
  const bus = properties.has('parent_bus') ? await getProperty(client, path, 'parent_bus', text) : '';
  const slot = properties.has('addr') ? await getProperty(client, path, 'addr', z.unknown()) : undefined;
  return `${bus === '' ? '' : ` on ${bus}`}${typeof slot === 'number' ? ` at ${formatSlot(slot)}` : ''}`;
}

/** As QEMU writes it: device and function. */
function formatSlot(slot: number): string {
  return `${Math.floor(slot / 8)
    .toString(16)
    .padStart(2, '0')}.${slot % 8}`;
}

/**
 * Processors have no names of their own: how many of each model. The other devices that a machine brings follow from its
 * type, and another version of QEMU may count them otherwise.
 */
function processorFacts(properties: readonly QomProperty[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { name, type } of properties) {
    const device = name.startsWith('device[') ? CHILD.exec(type)?.[1] : undefined;
    if (device?.endsWith('-cpu') === true) counts.set(device, (counts.get(device) ?? 0) + 1);
  }
  return [...counts].map(([device, count]) => `cpu ${device} x ${count}`);
}

/** By the device that the guest sees, where there is one: names of drives and nodes may differ. */
function diskFact({ device, qdev, inserted }: BlockDevice): string {
  const name = qdev === undefined || qdev === '' ? device : qdev;
  if (inserted === undefined) return `disk ${name} empty`;
  const access = inserted.ro ? 'ro' : 'rw';
  return `disk ${name} size ${inserted.image['virtual-size']} ${access} ${inserted.drv}`;
}
