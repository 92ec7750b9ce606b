/**
 * One migration in which bits get lost: between the first scan and the pause the guest's pages change in a way that
 * perhaps no bit tells. Whether that was so is recorded; the image at the destination must be right in any case.
 */
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, signalIfThere, untilGone } from '@pageferry/scripts/harness';
import type { DaemonPair } from '../daemon-pair.ts';
import { BLOCK_ID, GUEST_COMMAND } from '../rig.ts';
import { enterGround, leaveGround, prepareGround, type Loss } from './losses.ts';
import { Subject } from './subject.ts';

const PAGES = 4096;
const PAGE_BYTES = 4096;
const FILL = 0x11;
/** An emulated machine on a busy host may take a minute to start a process. */
const TIMES = { 'ping-timeout': 300_000, 'hello-timeout': 300_000 } as const;

/** What came of it. */
export interface LossResult {
  readonly loss: string;
  readonly finalScan: boolean;
  readonly changedPages: number;
  /** Of these, pages with their bit set when the guest was about to be paused. */
  readonly seenPages: number;
  /** What the tracker said of itself: in use, or why not. */
  readonly tracker: string;
  /** Everything was scanned after the pause. */
  readonly isRescanned: boolean;
  readonly failedConditions: readonly string[];
  readonly conditionsMs: number;
  readonly downtimeMs: number;
  /** cmp, while both guests were stopped. */
  readonly isIdentical: boolean;
  /** The status says of the final scan what was done. */
  readonly isSaid: boolean;
}

export async function runLoss(pair: DaemonPair, loss: Loss, finalScan: boolean): Promise<LossResult> {
  const ground = prepareGround(loss.ground, pair.directory);
  const sourceImage = join(ground, 'source.ram');
  const destinationImage = join(pair.directory, 'destination.ram');
  makeFile(sourceImage);
  const subject = await Subject.start(sourceImage, { mayFork: loss.mayFork });
  try {
    enterGround(loss.ground, ground, subject.pid);
    // hugetlbfs knows no write: all images are filled through the mapping.
    await subject.order({ deed: 'write', first: 0, count: PAGES, value: FILL });
    return await migrate(pair, loss, finalScan, subject, { sourceImage, destinationImage });
  } finally {
    await subject.end();
    for (const path of [sourceImage, destinationImage]) rmSync(path, { force: true });
    leaveGround(loss.ground, ground);
    rmSync(ground, { recursive: true });
  }
}

interface Images {
  readonly sourceImage: string;
  readonly destinationImage: string;
}

async function migrate(
  pair: DaemonPair,
  loss: Loss,
  finalScan: boolean,
  subject: Subject,
  { sourceImage, destinationImage }: Images,
): Promise<LossResult> {
  const { source, destination, proxy } = pair;
  const verdictPath = join(pair.directory, 'verdict');
  rmSync(verdictPath, { force: true });
  const compare =
    'cmp "$1" "$2" >"$3.new" 2>&1 && echo identical >"$3.new"; mv "$3.new" "$3"; exec sleep 600';
  pair.setGuestCommand(['/bin/sh', '-c', compare, 'cmp', sourceImage, destinationImage, verdictPath]);
  const { uri, token } = await destination.api.incoming({
    listen: 'tcp:127.0.0.1:0',
    blocks: [{ id: BLOCK_ID, path: destinationImage, create: true }],
    guest: { type: 'process', command: GUEST_COMMAND },
    parameters: TIMES,
  });
  proxy.forwardTo(uri);
  const bulkEnd = proxy.hold('round-result');
  await source.api.migrate({
    uri: proxy.uri,
    token,
    blocks: [{ id: BLOCK_ID, path: sourceImage }],
    guest: { type: 'process', pid: subject.pid, 'discards-memory': loss.isGuestsOwn === true },
    tracker: { type: 'soft-dirty', 'final-scan': finalScan },
    parameters: {
      ...TIMES,
      'connect-timeout': 300_000,
      'switchover-timeout': 600_000,
      'min-rounds': 1,
      'max-rounds': 1,
      'on-no-convergence': 'switchover',
    },
  });
  const completed = source.api.until('completion', ({ status: word }) => word === 'completed');
  // It may fail before anybody waits for it.
  completed.catch(() => undefined);
  await Promise.race([bulkEnd.arrived, completed]);
  await loss.carryOut(subject, sourceImage);
  const { first, count } = loss.pages;
  const seenPages = subject.writtenCount(first, count);
  bulkEnd.release();
  const status = await completed;
  const verdict = await eventually('what cmp says', () =>
    existsSync(verdictPath) ? readFileSync(verdictPath, 'utf8').trim() : undefined,
  );
  await endGuest(pair);
  const { tracker, verified } = status.pageferry;
  return {
    loss: loss.name,
    finalScan,
    changedPages: count,
    seenPages,
    tracker: tracker?.reason ?? tracker?.type ?? 'unknown',
    isRescanned: verified.includes('source-rescanned'),
    failedConditions: tracker?.['failed-conditions'] ?? [],
    conditionsMs: tracker?.['conditions-ms'] ?? 0,
    downtimeMs: status.downtime ?? NaN,
    isIdentical: verdict === 'identical',
    isSaid: tracker?.['final-scan'] === verified.includes('source-rescanned'),
  };
}

async function endGuest({ destination }: DaemonPair): Promise<void> {
  const { pid } = (await destination.api.status()).pageferry.guest ?? {};
  if (pid === undefined) return;
  signalIfThere(pid, 'SIGKILL');
  await untilGone(pid);
}

function makeFile(path: string): void {
  const fd = openSync(path, 'wx');
  ftruncateSync(fd, PAGES * PAGE_BYTES);
  closeSync(fd);
}
