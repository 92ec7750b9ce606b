/** Entry of a stream's thread: connects, then sends a round whenever the engine's main thread says so. */
import { parentPort, workerData } from 'node:worker_threads';
import type { RoundPlan, StreamPlan, StreamReport } from './messages.ts';
import { Stream } from './stream.ts';

const plan: StreamPlan = workerData;
const report = (message: StreamReport): void => parentPort?.postMessage(message);
const fail = (error: unknown): void =>
  report({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });

try {
  const stream = new Stream(plan);
  parentPort?.on('message', (round: RoundPlan) => {
    stream.round(round).then((roots) => report({ type: 'round-sent', roots }), fail);
  });
  await stream.connect(fail);
  report({ type: 'connected', probe: plan.stream === 0 ? stream.probe() : { bytes: 0, ms: 0 } });
} catch (error) {
  fail(error);
}
