/**
 * Entry of the destination's engine: starts a thread for each stream, hands it its connection, adds up roots.
 *
 * This thread never reads a data connection and never touches a page, so that it always answers its daemon. It
 * does not stop by itself: the daemon kills it, and it dies with the daemon.
 */
import {
  bindToDaemon,
  errorReport,
  ENGINE_FILES_FD,
  receiveDescriptors,
  rssAnonBytes,
  SharedCounters,
  StreamThreads,
  system,
  tellDaemon,
  type ConnectionHandle,
} from '@pageferry/transport';
import { addRoots, ZERO_ROOT } from '@pageferry/xbzrle';
import { COUNTER_NAMES, sumCounters, type StreamCounters } from './counters.ts';
import type {
  EngineCommand,
  EnginePlan,
  EngineReport,
  ExtentName,
  StreamCommand,
  StreamReport,
} from './messages.ts';

const PROGRESS_INTERVAL_MS = 100;

bindToDaemon();
const report = (message: EngineReport): void => tellDaemon(message);
const counters: StreamCounters[] = [];
const threads = new StreamThreads<StreamCommand, StreamReport>({
  entry: new URL('./stream-main.js', import.meta.url),
  onReport: (message) => handleReport(message),
  onError: (error) => report(errorReport(error)),
});
let running: EnginePlan | undefined;
/** What the streams have reported of a round, until all have. */
const appliedRoots = new Map<number, (readonly Uint8Array[])[]>();
let rereadReports: (readonly ExtentName[])[] = [];

process.on('message', (command: EngineCommand, handle?: ConnectionHandle) => {
  switch (command.type) {
    case 'start':
      startStreams(command.plan, receiveDescriptors(ENGINE_FILES_FD, command.fileCount));
      setInterval(() => report({ type: 'progress', ...totals() }), PROGRESS_INTERVAL_MS);
      break;
    case 'connection':
      if (handle !== undefined) hand(command.stream, handle);
      break;
    case 'reread':
      rereadReports = [];
      threads.tellAll(command);
      break;
  }
});

/** The thread gets a descriptor of its own; this process's handle is never read. */
function hand(stream: number, handle: ConnectionHandle): void {
  threads.tell(stream, { type: 'connection', fd: system.duplicate(handle.fd) });
  handle.close();
}

/** The files after the images are their locks: it is enough that this process has them open. */
function startStreams(plan: EnginePlan, files: readonly number[]): void {
  const imageFds = files.slice(0, plan.blockPageCounts.length);
  running = plan;
  for (let stream = 0; stream < plan.streamCount; stream += 1) {
    const buffer = SharedCounters.allocate(COUNTER_NAMES);
    counters.push(new SharedCounters(COUNTER_NAMES, buffer));
    threads.add({ type: 'plan', plan: { ...plan, imageFds, stream, counters: buffer } });
  }
}

function handleReport(message: StreamReport): void {
  if (running === undefined) return;
  const plan = running;
  switch (message.type) {
    case 'failed':
      report(message);
      break;
    case 'round-applied':
      applied(message.round, message.roots, plan);
      break;
    case 'reread-done':
      rereadReports.push(message.differing);
      if (rereadReports.length === plan.streamCount)
        report({ type: 'reread-done', differing: rereadReports.flat() });
      break;
  }
}

/** The root of each block: the streams' shards cover it, so their sums add up to it. */
function applied(round: number, roots: readonly Uint8Array[], plan: EnginePlan): void {
  const reported = [...(appliedRoots.get(round) ?? []), roots];
  appliedRoots.set(round, reported);
  if (reported.length < plan.streamCount) return;
  appliedRoots.delete(round);
  const sums = plan.blockPageCounts.map((_, block) =>
    reported.reduce((sum, streamRoots) => addRoots(sum, streamRoots[block] ?? ZERO_ROOT), ZERO_ROOT),
  );
  report({ type: 'round-applied', round, roots: sums, ...totals() });
}

function totals(): { counters: ReturnType<typeof sumCounters>; rssAnonBytes: number } {
  return { counters: sumCounters(counters), rssAnonBytes: rssAnonBytes() };
}
