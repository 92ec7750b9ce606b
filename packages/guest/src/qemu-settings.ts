// Capabilities and parameters of a QEMU's own migration, set for a state that travels without the shared memory, and
// set back after a rollback. What is not known to a QEMU is not set: names come and go with versions.
import { queryCapabilities, queryParameters, setCapabilities } from './qemu-commands.ts';
import type { QmpClient } from './qmp-client.ts';

/** They change what is sent, who is asked or when: none is of use for a stream of device state through a socket. */
const IN_THE_WAY = [
  'auto-converge',
  'background-snapshot',
  'block',
  'compress',
  'dirty-limit',
  'mapped-ram',
  'multifd',
  'pause-before-switchover',
  'postcopy-blocktime',
  'postcopy-preempt',
  'postcopy-ram',
  'rdma-pin-all',
  'release-ram',
  'return-path',
  'switchover-ack',
  'x-colo',
  'xbzrle',
  'zero-blocks',
  'zero-copy-send',
];

/** Bytes per second, far beyond any: ROMs and video RAM are not to trickle while the guest is paused. */
const UNLIMITED_BANDWIDTH = 2 ** 40;

/** What was changed, as it was before. */
export interface FormerSettings {
  readonly capabilities: ReadonlyMap<string, boolean>;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export const settingsForSave = (client: QmpClient): Promise<FormerSettings> =>
  change(client, ['x-ignore-shared'], { 'max-bandwidth': UNLIMITED_BANDWIDTH });

const NEEDED_FOR_LOAD = ['x-ignore-shared', 'late-block-activate'];

/** `late-block-activate`: the disks' locks are taken by `cont` and not by loading, so that the source can go on. */
export const settingsForLoad = (client: QmpClient): Promise<FormerSettings> =>
  change(client, NEEDED_FOR_LOAD, {});

/** Once the guest runs: QEMU's defaults, so that its next migration, ours or its own, finds what it expects. */
export async function settingsAfterLoad(client: QmpClient): Promise<void> {
  const capabilities = await queryCapabilities(client);
  const set = NEEDED_FOR_LOAD.filter((name) => capabilities.get(name) === true);
  await setCapabilities(client, new Map(set.map((name) => [name, false])));
}

export async function setBack(client: QmpClient, former: FormerSettings): Promise<void> {
  await setCapabilities(client, former.capabilities);
  if (Object.keys(former.parameters).length > 0)
    await client.execute('migrate-set-parameters', former.parameters);
}

async function change(
  client: QmpClient,
  needed: readonly string[],
  parameters: Readonly<Record<string, unknown>>,
): Promise<FormerSettings> {
  const capabilities = await queryCapabilities(client);
  const changes = new Map<string, boolean>();
  for (const name of IN_THE_WAY) if (capabilities.get(name) === true) changes.set(name, false);
  for (const name of needed) if (capabilities.get(name) !== true) changes.set(name, true);
  await setCapabilities(client, changes);
  const before = await queryParameters(client);
  // TLS of QEMU's migration applies to UNIX sockets too.
  const hasTls = typeof before['tls-creds'] === 'string' && before['tls-creds'] !== '';
  const wanted = { ...parameters, ...(hasTls ? { 'tls-creds': '' } : {}) };
  if (Object.keys(wanted).length > 0) await client.execute('migrate-set-parameters', wanted);
  return {
    capabilities: new Map([...changes].map(([name, state]) => [name, !state])),
    parameters: Object.fromEntries(Object.keys(wanted).map((name) => [name, before[name]])),
  };
}
