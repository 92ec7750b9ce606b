// The monitor's commands as far as guests need them, with QEMU's answers checked where they come in.
// QEMU's words: docs/interop/qemu-qmp-ref; what is optional there, or came with a later version, is optional here.
import { z } from 'zod';
import { GuestError } from './errors.ts';
import type { QmpClient } from './qmp-client.ts';

const runStatus = z.object({ status: z.string(), running: z.boolean() });
export type RunStatus = z.output<typeof runStatus>;

const migrationInfo = z.object({
  /** Absent before the first migration, and while one that is to come in is only listened for. */
  status: z.string().optional(),
  'error-desc': z.string().optional(),
  'blocked-reasons': z.array(z.string()).optional(),
  /** Where one that is to come in is listened for. */
  'socket-address': z.array(z.unknown()).optional(),
});
export type MigrationInfo = z.output<typeof migrationInfo>;

const capabilities = z.array(z.object({ capability: z.string(), state: z.boolean() }));
const parameters = z.record(z.string(), z.unknown());
const properties = z.array(z.object({ name: z.string(), type: z.string() }));
export type QomProperty = z.output<typeof properties>[number];
const cpus = z.array(z.unknown());
const text = z.string();

const blockDevices = z.array(
  z.object({
    /** Empty for a disk that was made with -blockdev. */
    device: z.string(),
    qdev: z.string().optional(),
    inserted: z
      .object({
        ro: z.boolean(),
        /** The format's driver. */
        drv: z.string(),
        image: z.object({ 'virtual-size': z.int() }),
      })
      .optional(),
  }),
);
export type BlockDevice = z.output<typeof blockDevices>[number];

export const queryStatus = (client: QmpClient): Promise<RunStatus> => ask(client, 'query-status', runStatus);

export const queryMigrate = (client: QmpClient): Promise<MigrationInfo> =>
  ask(client, 'query-migrate', migrationInfo);

export const queryBlock = (client: QmpClient): Promise<readonly BlockDevice[]> =>
  ask(client, 'query-block', blockDevices);

/** Count of virtual CPUs. */
export async function countCpus(client: QmpClient): Promise<number> {
  return (await ask(client, 'query-cpus-fast', cpus)).length;
}

/** All capabilities that this QEMU knows, by name. */
export async function queryCapabilities(client: QmpClient): Promise<ReadonlyMap<string, boolean>> {
  const found = await ask(client, 'query-migrate-capabilities', capabilities);
  return new Map(found.map(({ capability, state }) => [capability, state]));
}

/** All or none: QEMU checks what they are together. */
export async function setCapabilities(
  client: QmpClient,
  changes: ReadonlyMap<string, boolean>,
): Promise<void> {
  if (changes.size === 0) return;
  const list = [...changes].map(([capability, state]) => ({ capability, state }));
  await client.execute('migrate-set-capabilities', { capabilities: list });
}

export const queryParameters = (client: QmpClient): Promise<Readonly<Record<string, unknown>>> =>
  ask(client, 'query-migrate-parameters', parameters);

export const listProperties = (client: QmpClient, path: string): Promise<readonly QomProperty[]> =>
  ask(client, 'qom-list', properties, { path });

export const getProperty = <T>(
  client: QmpClient,
  path: string,
  property: string,
  schema: z.ZodType<T>,
): Promise<T> => ask(client, 'qom-get', schema, { path, property });

/** A command of the human monitor: only where QMP has none. */
export const askHumanMonitor = (client: QmpClient, commandLine: string): Promise<string> =>
  ask(client, 'human-monitor-command', text, { 'command-line': commandLine });

async function ask<T>(
  client: QmpClient,
  command: string,
  schema: z.ZodType<T>,
  commandArguments: Readonly<Record<string, unknown>> = {},
): Promise<T> {
  const answer = schema.safeParse(await client.execute(command, commandArguments));
  if (answer.success) return answer.data;
  const found = `${command} answered ${z.prettifyError(answer.error)}`;
  throw new GuestError({ code: 'monitor-malformed', path: client.path, found });
}
