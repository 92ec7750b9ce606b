/** Entry of a stream's thread: adopts its connection when it comes, and digests files again when asked. */
import { parentPort, workerData } from 'node:worker_threads';
import type { StreamCommand, StreamPlan, StreamReport } from './messages.ts';
import { Stream } from './stream.ts';

const plan: StreamPlan = workerData;
const report = (message: StreamReport): void => parentPort?.postMessage(message);

try {
  const stream = new Stream(plan, report);
  parentPort?.on('message', (command: StreamCommand) => {
    try {
      if (command.type === 'connection') stream.adopt(command.fd);
      else stream.reread();
    } catch (error) {
      fail(error);
    }
  });
} catch (error) {
  fail(error);
}

function fail(error: unknown): void {
  report({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
}
