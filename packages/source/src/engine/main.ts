/**
 * Entry of the source's engine: starts a thread for each stream, gives out rounds, adds up what they report.
 *
 * This thread never touches a page, so that it always answers its daemon. It does not stop by itself: the daemon
 * kills it, and it dies with the daemon.
 */
import {
  bindToDaemon,
  errorReport,
  ENGINE_FILES_FD,
  receiveDescriptors,
  rssAnonBytes,
  SharedCounters,
  StreamThreads,
  tellDaemon,
} from '@pageferry/transport';
import { addRoots, ZERO_ROOT } from '@pageferry/xbzrle';
import { COUNTER_NAMES, sumCounters, type StreamCounters } from './counters.ts';
import type {
  EngineCommand,
  EnginePlan,
  EngineReport,
  RoundPlan,
  StreamCommand,
  StreamReport,
  StreamRound,
} from './messages.ts';
import type { ScanProbe } from './probe.ts';
import { RateLimit } from './rate-limit.ts';

const PROGRESS_INTERVAL_MS = 100;

bindToDaemon();
const report = (message: EngineReport): void => tellDaemon(message);
const limitBuffer = RateLimit.allocate();
const limit = new RateLimit(limitBuffer);
const counters: StreamCounters[] = [];
const threads = new StreamThreads<StreamCommand, StreamReport>({
  entry: new URL('./stream-main.js', import.meta.url),
  onReport: (message) => handle(message),
  onError: (error) => report(errorReport(error)),
});
let running: EnginePlan | undefined;
let round: RoundPlan | undefined;
let connectedCount = 0;
let probe: ScanProbe = { bytes: 0, ms: 0 };
let sent: StreamRound[] = [];

process.on('message', (command: EngineCommand) => {
  switch (command.type) {
    case 'start':
      limit.set(command.bytesPerSecond);
      startStreams(command.plan, receiveDescriptors(ENGINE_FILES_FD, command.fileCount));
      setInterval(() => report({ type: 'progress', ...totals() }), PROGRESS_INTERVAL_MS);
      break;
    case 'round':
      round = command.plan;
      sent = [];
      threads.tellAll(command);
      break;
    case 'bandwidth':
      limit.set(command.bytesPerSecond);
      break;
  }
});

/** The files after the images are their locks: it is enough that this process has them open. */
function startStreams(plan: EnginePlan, files: readonly number[]): void {
  const imageFds = files.slice(0, plan.blockPageCounts.length);
  running = plan;
  for (let stream = 0; stream < plan.streamCount; stream += 1) {
    const buffer = SharedCounters.allocate(COUNTER_NAMES);
    counters.push(new SharedCounters(COUNTER_NAMES, buffer));
    threads.add({ type: 'plan', plan: { ...plan, imageFds, stream, counters: buffer, limit: limitBuffer } });
  }
}

function handle(message: StreamReport): void {
  if (running === undefined) return;
  const plan = running;
  switch (message.type) {
    case 'failed':
      report(message);
      break;
    case 'connected':
      connectedCount += 1;
      if (message.probe.bytes > 0) probe = message.probe;
      if (connectedCount === plan.streamCount) report({ type: 'connected', probe });
      break;
    case 'round-sent':
      sent.push(message.sent);
      if (sent.length === plan.streamCount && round !== undefined) {
        const differences = sent.flatMap((stream) => stream.differences);
        report({
          type: 'round-sent',
          round: round.round,
          roots: blockRoots(plan),
          differences,
          doubts: [...new Set(sent.flatMap((stream) => stream.doubts))],
          ...totals(),
        });
      }
      break;
  }
}

/** The root of each block: the streams' shards cover it, so their sums add up to it. */
function blockRoots(plan: EnginePlan): Uint8Array[] {
  return plan.blockPageCounts.map((_, block) =>
    sent.reduce((sum, { roots }) => addRoots(sum, roots[block] ?? ZERO_ROOT), ZERO_ROOT),
  );
}

function totals(): { counters: ReturnType<typeof sumCounters>; rssAnonBytes: number } {
  return { counters: sumCounters(counters), rssAnonBytes: rssAnonBytes() };
}
