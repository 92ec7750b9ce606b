// Why a QEMU cannot be migrated, or cannot take a migration in, in words and before anything moves.
import { realpath } from 'node:fs/promises';
import type { RequestedBlock } from './guest.ts';
import { queryCapabilities, queryMigrate, queryParameters, queryStatus } from './qemu-commands.ts';
import { readMemory, type QemuMemory } from './qemu-memory.ts';
import type { QmpClient, QemuVersion } from './qmp-client.ts';

/** What may travel in the pause: ROMs and video RAM are tens of megabytes at most. */
export const PAUSED_MEMORY_MAX_BYTES = 256 * 1024 * 1024;

const MIB = 1024 * 1024;

/** Plain -m gives a QEMU memory of its own. */
const NO_SHARED_FILE =
  'no memory of the guest is on a shared file: start QEMU with ' +
  '-object memory-backend-file,id=pc.ram,size=…,mem-path=…,share=on -machine memory-backend=pc.ram';

/** States of query-migrate in which nothing is under way. */
const SETTLED = new Set([undefined, 'none', 'completed', 'failed', 'cancelled']);

export const isMigrationUnderWay = (status: string | undefined): boolean => !SETTLED.has(status);

/** Run states (QEMU's RunState) in which a guest is not migrated. */
const REFUSED_STATES: Readonly<Record<string, string>> = {
  prelaunch: 'the guest was never started (-S): resume it first',
  inmigrate: 'this QEMU waits for an incoming migration',
  postmigrate:
    'the state of this guest was saved already: it runs elsewhere now, or must be resumed (cont) before it is migrated',
  'finish-migrate': 'a migration is being finished',
  'save-vm': 'a snapshot is being saved',
  'restore-vm': 'a snapshot is being restored',
  'io-error': 'the guest was stopped by an error of its disk: repair that and resume it first',
  suspended: 'the guest sleeps (suspended to RAM): wake it first',
  shutdown: 'the guest has shut down',
  'guest-panicked': 'the guest has panicked',
  'internal-error': 'the guest was stopped by an internal error of QEMU',
  watchdog: 'the guest was stopped by its watchdog',
  debug: 'the guest is stopped by a debugger',
  colo: 'the guest is replicated (COLO)',
};

/** Of the source's QEMU. `requested`: the blocks of the request, `null` when they are read from QEMU. */
export async function sourceReasons(
  client: QmpClient,
  requested: readonly RequestedBlock[] | null,
): Promise<readonly string[]> {
  const tooOld = versionReasons(client.version);
  if (tooOld.length > 0) return tooOld;
  const { status } = await queryStatus(client);
  const migration = await queryMigrate(client);
  const state = status === 'running' || status === 'paused' ? [] : [stateReason(status)];
  const underWay = isMigrationUnderWay(migration.status)
    ? [`QEMU has a migration of its own under way (${migration.status})`]
    : [];
  return [
    ...state,
    ...underWay,
    ...(migration['blocked-reasons'] ?? []),
    ...(await capabilityReasons(client)),
    ...(await memoryReasons(client, requested)),
  ];
}

/** Of the destination's QEMU, before it is told to take a state in. */
export async function incomingReasons(client: QmpClient): Promise<readonly string[]> {
  const tooOld = versionReasons(client.version);
  if (tooOld.length > 0) return tooOld;
  const { status } = await queryStatus(client);
  if (status !== 'inmigrate')
    return [`the run state of the destination's QEMU is ${status}: start it with -incoming defer`];
  const migration = await queryMigrate(client);
  const isTaken = (migration.status ?? 'none') !== 'none' || migration['socket-address'] !== undefined;
  const taken = isTaken
    ? [`the destination's QEMU waits for another migration already: start it with -incoming defer`]
    : [];
  return [
    ...taken,
    ...(migration['blocked-reasons'] ?? []),
    ...(await capabilityReasons(client)),
    ...(await memoryReasons(client, null)),
  ];
}

/** Version 4.0 brought `x-ignore-shared`. */
function versionReasons({ major, minor, micro }: QemuVersion): readonly string[] {
  return major >= 4 ? [] : [`QEMU ${major}.${minor}.${micro} cannot leave shared memory out; 4.0 can`];
}

function stateReason(status: string): string {
  return REFUSED_STATES[status] ?? `the run state of the guest is ${status}`;
}

/** What is only switched off for the save is no reason; another mode is another kind of migration. */
async function capabilityReasons(client: QmpClient): Promise<readonly string[]> {
  const capabilities = await queryCapabilities(client);
  const missing = ['x-ignore-shared', 'late-block-activate'].filter((name) => !capabilities.has(name));
  const mode = await migrationMode(client);
  const wrongMode = mode === 'normal' ? [] : [`QEMU's migration mode is ${mode}`];
  return [...missing.map((name) => `this QEMU has no capability ${name}`), ...wrongMode];
}

/** Other modes came with 8.2. */
async function migrationMode(client: QmpClient): Promise<string> {
  const { mode } = await queryParameters(client);
  return typeof mode === 'string' ? mode : 'normal';
}

async function memoryReasons(
  client: QmpClient,
  requested: readonly RequestedBlock[] | null,
): Promise<readonly string[]> {
  const { shared, blocked, pausedBytes } = await readMemory(client);
  const tooMuch =
    pausedBytes <= PAUSED_MEMORY_MAX_BYTES
      ? []
      : [
          `${Math.ceil(pausedBytes / MIB)} MiB of the guest's memory are not on shared files and would move in the pause, ` +
            `${PAUSED_MEMORY_MAX_BYTES / MIB} MiB at most may: use memory-backend-file with share=on and a file's path`,
        ];
  const none = shared.length === 0 ? [NO_SHARED_FILE] : [];
  const differences = requested === null ? [] : await requestReasons(shared, requested);
  return [...blocked, ...tooMuch, ...none, ...differences];
}

async function requestReasons(
  shared: QemuMemory['shared'],
  requested: readonly RequestedBlock[],
): Promise<readonly string[]> {
  const reasons: string[] = [];
  for (const { id, path } of requested) {
    const block = shared.find((candidate) => candidate.id === id);
    if (block === undefined) {
      reasons.push(`the guest has no memory block ${id} on a shared file; it has: ${namesOf(shared)}`);
    } else if ((await realpath(path).catch(() => path)) !== block.path) {
      reasons.push(`memory block ${id} of the guest is ${block.path}, the request says ${path}`);
    }
  }
  const forgotten = shared.filter(({ id }) => !requested.some((block) => block.id === id));
  return [
    ...reasons,
    ...forgotten.map(({ id, path }) => `memory block ${id} of the guest (${path}) is not in the request`),
  ];
}

function namesOf(blocks: QemuMemory['shared']): string {
  return blocks.map(({ id }) => id).join(', ') || 'none';
}
