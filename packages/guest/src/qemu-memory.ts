// A QEMU's RAM as it describes it itself: which blocks lie on shared files and are moved by us, and which would travel in
// the pause with the device state. `x-ignore-shared` leaves blocks out of QEMU's own stream; whatever it leaves out and
// nobody else copies is lost, so every block that it leaves out must be one that we can copy.
// Which ones it leaves out: before 8.1 every shared one, since then those of memory-backend-file, also where the path is
// a folder and the file in it has no name (QEMU b0182e537e, 2023).
import { readlink, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { GuestError } from './errors.ts';
import type { GuestBlock } from './guest.ts';
import { errorCode } from './process-state.ts';
import { askHumanMonitor, getProperty, listProperties } from './qemu-commands.ts';
import type { QemuVersion, QmpClient } from './qmp-client.ts';

/** A block of the migration stream's own list, by its name there. */
export interface RamBlock {
  readonly name: string;
  /** What it may grow to: what both sides must agree in. */
  readonly maxBytes: number;
  readonly usedBytes: number;
}

export interface QemuMemory {
  /** All blocks, as `info ramblock` lists them. */
  readonly ramBlocks: readonly RamBlock[];
  /** Those on shared files, which are copied by us. */
  readonly shared: readonly GuestBlock[];
  /** Which blocks cannot be copied from a file though they should, in words. */
  readonly blocked: readonly string[];
  /** Bytes of the blocks that QEMU sends itself, in the pause. */
  readonly pausedBytes: number;
}

interface Backend {
  readonly id: string;
  readonly type: string;
  readonly isShared: boolean;
  readonly isReadonly: boolean;
  readonly sizeBytes: number;
  /** Where in the file it begins, bytes (since 8.1). */
  readonly offsetBytes: number;
  readonly path: string | null;
}

const CHILD = /^child<(memory-backend-.+)>$/;
const FILE_BACKEND = 'memory-backend-file';

/** Asks the monitor. */
export async function readMemory(client: QmpClient): Promise<QemuMemory> {
  const ramBlocks = parseRamBlocks(await askHumanMonitor(client, 'info ramblock'), client.path);
  const backends = await readBackends(client);
  const shared: GuestBlock[] = [];
  const blocked: string[] = [];
  const left = new Set<string>();
  for (const backend of backends) {
    if (backend.path !== null && !backend.isShared)
      blocked.push(
        `memory block ${backend.id} is private (share=off): its file does not show what the guest writes`,
      );
    if (!isLeftOut(backend, client.version)) continue;
    const names = [backend.id, `/objects/${backend.id}`];
    ramBlocks.filter(({ name }) => names.includes(name)).forEach(({ name }) => left.add(name));
    const found = await locate(backend, client.pid);
    if (typeof found === 'string') blocked.push(found);
    else shared.push(found);
  }
  const sent = ramBlocks.filter(({ name }) => !left.has(name));
  const pausedBytes = sent.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  return { ramBlocks, shared, blocked, pausedBytes };
}

/**
 * The table of `info ramblock`: name, page size, offset, used, total, and since 8.2 more. The last column of names is
 * aligned right, so names are what is before the page size.
 */
export function parseRamBlocks(table: string, monitorPath: string): readonly RamBlock[] {
  const row = /^\s*(\S.*?)\s+\d+ [KMGT]iB\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)(?:\s|$)/i;
  const lines = table.split('\n').filter((line) => line.trim() !== '');
  const blocks = lines.slice(1).map((line) => {
    const [, name, used, max] = row.exec(line) ?? [];
    if (name === undefined)
      throw new GuestError({ code: 'monitor-malformed', path: monitorPath, found: `info ramblock: ${line}` });
    return { name, usedBytes: Number(used), maxBytes: Number(max) };
  });
  if (blocks.length > 0) return blocks;
  throw new GuestError({ code: 'monitor-malformed', path: monitorPath, found: `info ramblock: ${table}` });
}

/** The objects of -object, and the one that QEMU makes itself for plain -m. */
async function readBackends(client: QmpClient): Promise<readonly Backend[]> {
  const objects = await listProperties(client, '/objects');
  const backends: Backend[] = [];
  for (const { name, type } of objects) {
    const backend = CHILD.exec(type)?.[1];
    if (backend !== undefined) backends.push(await readBackend(client, name, backend));
  }
  return backends;
}

async function readBackend(client: QmpClient, id: string, type: string): Promise<Backend> {
  const object = `/objects/${id}`;
  const properties = new Set((await listProperties(client, object)).map(({ name }) => name));
  const get = async <T>(property: string, schema: z.ZodType<T>, otherwise: T): Promise<T> =>
    properties.has(property) ? getProperty(client, object, property, schema) : otherwise;
  return {
    id,
    type,
    isShared: await get('share', z.boolean(), false),
    isReadonly: await get('readonly', z.boolean(), false),
    sizeBytes: await getProperty(client, object, 'size', z.int()),
    offsetBytes: await get('offset', z.int(), 0),
    path: type === FILE_BACKEND ? await getProperty(client, object, 'mem-path', z.string()) : null,
  };
}

/** Whether `x-ignore-shared` leaves the block out of QEMU's stream. */
function isLeftOut({ type, isShared }: Backend, { major, minor }: QemuVersion): boolean {
  const isByFile = major > 8 || (major === 8 && minor >= 1);
  return isShared && (!isByFile || type === FILE_BACKEND);
}

/** The block, or why it cannot be copied. */
async function locate(backend: Backend, pid: number): Promise<GuestBlock | string> {
  const { id, type, sizeBytes } = backend;
  const block = `memory block ${id}`;
  if (backend.path === null)
    return `${block} is shared memory without a file (${type}), and its content would be lost: use memory-backend-file`;
  if (backend.isReadonly) return `${block} is a read-only file`;
  if (backend.offsetBytes !== 0) return `${block} begins in the middle of its file (offset)`;
  try {
    const path = await realpath(await absolute(backend.path, pid));
    const found = await stat(path);
    if (found.isFile()) return { id, path, sizeBytes };
    return `${block} is given ${path}, which is no file: QEMU made one in it that has no name; give the path of a file`;
  } catch (error) {
    return `the file of ${block}, ${backend.path}, cannot be found: ${errorCode(error) ?? String(error)}`;
  }
}

/** Relative ones are so to where QEMU works. */
async function absolute(path: string, pid: number): Promise<string> {
  return isAbsolute(path) ? path : join(await readlink(`/proc/${pid}/cwd`), path);
}
