// Migrates a running guest before the user's eyes and proves it: two daemons and a writing process on this machine, all
// of them real processes; cmp compares both images while no guest runs; the guest's own log and seeds say what must be
// in memory afterwards. The exit code is 0 only if every check held. Nothing is left behind, whatever happens.
import type { MigrationStatus } from '@pageferry/protocol';
import { comparingCommand } from './demo/guest-command.ts';
import { USAGE, parseDemoOptions } from './demo/options.ts';
import type { DemoOptions } from './demo/options.ts';
import { Progress, formatBytes } from './demo/progress.ts';
import { proveHandover, requireCmp } from './demo/proof.ts';
import type { DemoFiles } from './demo/proof.ts';
import { resultTable } from './demo/table.ts';
import { WORKLOAD, makeImage, startGuest, workloadArguments } from './harness/guest.ts';
import type { GuestPlan } from './harness/guest.ts';
import { arm, awaitCompleted, startDaemons } from './harness/migration.ts';
import type { Daemons } from './harness/migration.ts';
import { Workspace } from './harness/workspace.ts';
import { PAGE_BYTES } from './workload/initial-image.ts';

/** Logs and the guest's record of its operations, besides the two images. */
const SMALL_FILES_BYTES = 64 * 2 ** 20;
const DOCS_PAGES_PER_SECOND = 2000;
const ZERO_WRITES_SHARE = 0.1;
const POLL_MS = 100;
/** Name of the destination's command in its configuration. */
const GUEST = 'demo';
/** A page can travel as a delta from its third time on, so two rounds after the bulk stage show none yet. */
const ROUNDS_WITH_DELTAS = 4;

async function main(args: readonly string[]): Promise<void> {
  const options = parseDemoOptions(args);
  if (options === null) {
    process.stdout.write(USAGE);
    return;
  }
  requireCmp();
  const workspace = new Workspace('demo', 2 * options.sizeBytes + SMALL_FILES_BYTES);
  workspace.closeOnSignals();
  try {
    const lastLine = await run(options, workspace);
    await workspace.close();
    process.stdout.write(`${lastLine}\n`);
  } finally {
    await workspace.close();
  }
}

/** Resolves with the demo's last line. */
async function run(options: DemoOptions, workspace: Workspace): Promise<string> {
  const files: DemoFiles = {
    sourceImage: workspace.file('a.ram'),
    destinationImage: workspace.file('b.ram'),
    log: workspace.file('guest.log'),
    verdict: workspace.file('cmp.verdict'),
  };
  const guest = planOf(options);
  say(`making an image of ${formatBytes(options.sizeBytes)}, ${options.zeroShare * 100} % of it zero pages`);
  await makeImage(files.sourceImage, guest.initial);
  const daemons = await startDaemons(workspace, { [GUEST]: commandOf(options, files, guest) });
  const source = await startGuest(files.sourceImage, files.log, guest);
  say(`the guest is process ${source.pid} and keeps writing; migrating it`);
  const status = await migrate(daemons, source.pid, files, options);
  const proof = await proveHandover(daemons, source, files, guest, say);
  process.stdout.write(`\n${resultTable(status)}\n`);
  return proof;
}

function planOf({ sizeBytes, zeroShare, ratePerSecond }: DemoOptions): GuestPlan {
  return {
    initial: { seed: 1, sizeBytes, zeroShare },
    plan: {
      program: 'both',
      seed: 2,
      range: { first: 0, count: sizeBytes / PAGE_BYTES },
      zeroShare: ZERO_WRITES_SHARE,
    },
    ratePerSecond,
    docsRatePerSecond: DOCS_PAGES_PER_SECOND,
  };
}

/** What the destination starts: the comparison, then the guest. */
function commandOf(
  { sizeBytes, isBroken }: DemoOptions,
  files: DemoFiles,
  guest: GuestPlan,
): readonly string[] {
  const workload = workloadArguments(files.destinationImage, files.log, guest, 'destination');
  return comparingCommand(
    {
      verdictPath: files.verdict,
      sourceImage: files.sourceImage,
      destinationImage: files.destinationImage,
      brokenByte: isBroken ? sizeBytes / 2 : null,
    },
    [process.execPath, WORKLOAD, ...workload],
  );
}

async function migrate(
  daemons: Daemons,
  pid: number,
  files: DemoFiles,
  options: DemoOptions,
): Promise<MigrationStatus> {
  const body = await arm(daemons, {
    incoming: {
      blocks: [{ id: 'pc.ram', path: files.destinationImage, create: true }],
      guest: { type: 'process', command: GUEST },
    },
    migrate: {
      blocks: [{ id: 'pc.ram', path: files.sourceImage }],
      guest: { type: 'process', pid },
      parameters: {
        'max-bandwidth': options.maxBandwidth,
        'downtime-limit': options.downtimeLimitMs,
        'multifd-channels': options.streamCount,
        'min-rounds': ROUNDS_WITH_DELTAS,
        'on-no-convergence': 'switchover',
        'destination-reread': true,
      },
    },
  });
  const { warnings } = await daemons.source.api.migrate(body);
  for (const { name, detail } of warnings) say(`warning ${name}: ${detail}`);
  const progress = new Progress(process.stdout);
  return awaitCompleted(daemons, POLL_MS, (status) => progress.update(status));
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
