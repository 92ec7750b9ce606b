/**
 * The same guest, moved again and again with each tracker in turn: what a migration read, what it cost and how long the
 * pause was. Every migration has as many rounds, so that only the tracker differs.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Tracker } from '@pageferry/protocol';
import { writeInitialImage } from '@pageferry/scripts';
import { Child, eventually, programPath, signalIfThere, untilGone } from '@pageferry/scripts/harness';
import { DaemonPair } from '../daemon-pair.ts';
import { BLOCK_ID, GUEST_COMMAND } from '../rig.ts';
import { againIfCrashed } from './emulator.ts';
import type { NestedResult } from './results.ts';

const SIZE_BYTES = 128 * 2 ** 20;
const TURNS = 3;
/** Enough for the engine's code to have become what it stays: compiling takes seconds in an emulated machine. */
const ROUNDS = 6;
const TICK_MS = 10;
/** An emulated machine on a busy host may take a minute to start a process. */
const TIMES = { 'ping-timeout': 300_000, 'hello-timeout': 300_000 } as const;
type MigrationResult = Extract<NestedResult, { type: 'migration' }>;

const TRACKERS: readonly (readonly [MigrationResult['tracker'], Tracker])[] = [
  ['scan', { type: 'scan' }],
  ['soft-dirty', { type: 'soft-dirty', 'final-scan': true }],
  ['soft-dirty, no final scan', { type: 'soft-dirty', 'final-scan': false }],
];

export async function compareTrackers(print: (result: NestedResult) => void): Promise<void> {
  const pair = await DaemonPair.start();
  const image = join(pair.directory, 'source.ram');
  writeInitialImage(image, { seed: 5, sizeBytes: SIZE_BYTES, zeroShare: 0 }, 'written');
  const args = ['--image', image, '--program', 'docs', '--rate', '500', '--write-with', 'mapping'];
  const guest = await Child.start(programPath('scripts/dist/src/guest-workload.js'), args, true);
  try {
    await guest.line('the word running', (line) => (line === 'running' ? true : undefined));
    for (let turn = 0; turn < TURNS; turn += 1) {
      for (const [name, tracker] of TRACKERS) {
        const result = await againIfCrashed(
          () => migrate(pair, name, tracker, image, guest.pid),
          () => pair.proxy.calm(),
        );
        print(result);
        // The guest goes on here: what it is at the destination has served its purpose.
        signalIfThere(guest.pid, 'SIGCONT');
      }
    }
  } finally {
    await guest.end('SIGKILL');
    await pair.end();
  }
}

async function migrate(
  pair: DaemonPair,
  name: MigrationResult['tracker'],
  tracker: Tracker,
  sourceImage: string,
  pid: number,
): Promise<MigrationResult> {
  const { source, destination } = pair;
  const destinationImage = join(pair.directory, 'destination.ram');
  const verdictPath = join(pair.directory, 'verdict');
  for (const path of [destinationImage, verdictPath]) rmSync(path, { force: true });
  const compare =
    'cmp "$1" "$2" >"$3.new" 2>&1 && echo identical >"$3.new"; mv "$3.new" "$3"; exec sleep 600';
  pair.setGuestCommand(['/bin/sh', '-c', compare, 'cmp', sourceImage, destinationImage, verdictPath]);
  const { uri, token } = await destination.api.incoming({
    listen: 'tcp:127.0.0.1:0',
    blocks: [{ id: BLOCK_ID, path: destinationImage, create: true }],
    guest: { type: 'process', command: GUEST_COMMAND },
    parameters: TIMES,
  });
  const beforeTicks = childTicks(source.pid);
  await source.api.migrate({
    uri,
    token,
    blocks: [{ id: BLOCK_ID, path: sourceImage }],
    guest: { type: 'process', pid, 'discards-memory': false },
    tracker,
    parameters: {
      ...TIMES,
      'connect-timeout': 300_000,
      'switchover-timeout': 600_000,
      'min-rounds': ROUNDS,
      'max-rounds': ROUNDS,
      'on-no-convergence': 'switchover',
    },
  });
  const status = await source.api.until('completion', ({ status: word }) => word === 'completed');
  const verdict = await eventually('what cmp says', () =>
    existsSync(verdictPath) ? readFileSync(verdictPath, 'utf8').trim() : undefined,
  );
  // The engine counts as its daemon's child once it is gone.
  await pair.untilNothingIsLeftBehind();
  const there = (await destination.api.status()).pageferry.guest?.pid;
  if (there !== undefined) {
    signalIfThere(there, 'SIGKILL');
    await untilGone(there);
  }
  const { pageferry } = status;
  const later = pageferry.rounds.filter(({ round }) => round > 0);
  return {
    type: 'migration',
    tracker: name,
    isRescanned: pageferry.verified.includes('source-rescanned'),
    failedConditions: pageferry.tracker?.['failed-conditions'] ?? [],
    readBytes: later.reduce((sum, { candidates }) => sum + candidates * 4096, 0),
    cpuMs: (childTicks(source.pid) - beforeTicks) * TICK_MS,
    downtimeMs: status.downtime ?? NaN,
    finalRoundMs: pageferry.phases.findLast((phase) => phase.name === 'final-round')?.ms ?? NaN,
    clearMs: pageferry.tracker?.['clear-ms'] ?? 0,
    conditionsMs: pageferry.tracker?.['conditions-ms'] ?? 0,
    isIdentical: verdict === 'identical',
    isSaid: pageferry.tracker?.['final-scan'] === pageferry.verified.includes('source-rescanned'),
  };
}

/** CPU time of a process's children that have ended, in ticks (fields 16 and 17 of /proc/PID/stat). */
function childTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[16 - 3]) + Number(fields[17 - 3]);
}
