/**
 * Whether a guest that has moved is whole and runs once. Nothing here asks a daemon: the log is replayed against the
 * image, cmp has compared the files at the handover, and /proc tells what runs.
 */
import { spawnSync } from 'node:child_process';
import { eventually, processState } from '@pageferry/scripts/harness';
import { findStrayGuests, runningGuests } from '../whereabouts.ts';
import type { Workload } from '../workload.ts';
import type { Parties } from './parties.ts';

/** In words what is wrong; empty if nothing is. Ends the guest at the destination. */
export async function findMoveProblems(parties: Parties, sourcePid: number): Promise<readonly string[]> {
  const stopped = processState(sourcePid) === 'T' ? [] : ['the guest is not stopped at the source'];
  const found = parties.damage.isDeadly
    ? await findDamagedProblems(parties)
    : await findWholeProblems(parties);
  return [...stopped, ...found];
}

/** In words what is wrong with two files that are to be the same. */
export function findDifferences(path: string, otherPath: string): readonly string[] {
  const { status, stdout, stderr } = spawnSync('cmp', [path, otherPath], { encoding: 'utf8' });
  return status === 0 ? [] : [`cmp: ${stdout}${stderr}`.trim()];
}

async function findWholeProblems(parties: Parties): Promise<readonly string[]> {
  const { workload, damage, destinationImage } = parties;
  await workload.untilItWritesAtDestination();
  const stray = await findStrayGuests(siteOf(parties), 'destination');
  await workload.stopAtDestination();
  const { verdict } = workload;
  const isIdentical = damage.isComparisonMoot || verdict === 'identical';
  return [
    ...stray,
    ...(isIdentical ? [] : [`cmp at the handover: ${verdict}`]),
    ...(await workload.findProblems(destinationImage)),
  ];
}

/** The guest's memory was damaged under it: it may end when it finds that, but what was not damaged must be right. */
async function findDamagedProblems(parties: Parties): Promise<readonly string[]> {
  const { workload, damage, destinationImage } = parties;
  const { lostFromPage = Infinity, isComparisonMoot } = damage;
  await eventually('the guest at the destination', () =>
    workload.operationCountOf('destination') > 0 || hasEnded(workload) ? true : undefined,
  );
  const isDouble = runningGuests(siteOf(parties)).includes('source');
  await workload.stopAtDestination();
  await damage.mend(undefined);
  const wrong = (await workload.findMismatches(destinationImage)).filter(({ page }) => page < lostFromPage);
  return [
    ...(isComparisonMoot || workload.verdict === 'identical'
      ? []
      : [`cmp at the handover: ${workload.verdict}`]),
    ...(isDouble ? ['the guest runs at the source too'] : []),
    ...(await workload.findLogProblems()).filter((problem) => !isReportOfDamage(problem)),
    ...wrong.map(({ page, reason }) => `page ${page}: ${reason}`),
  ];
}

function hasEnded({ destinationFailure, destinationPid }: Workload): boolean {
  const isGone = destinationPid !== undefined && processState(destinationPid) === undefined;
  return isGone || destinationFailure !== undefined;
}

/** The guest's own word that it found other memory than was left. */
function isReportOfDamage(problem: string): boolean {
  return problem.includes('destination failed');
}

/** What the destination's shell names while it waits is the pair's directory. */
export function siteOf({ pair, workload }: Parties): { directory: string; workload: Parties['workload'] } {
  return { directory: pair.directory, workload };
}
