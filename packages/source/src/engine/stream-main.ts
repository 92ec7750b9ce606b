/** Entry of a stream's thread: connects when it gets its plan, then sends a round whenever it is told to. */
import { parentPort } from 'node:worker_threads';
import { errorReport } from '@pageferry/transport';
import { compileKernel } from '@pageferry/xbzrle';
import type { StreamCommand, StreamReport } from './messages.ts';
import { Stream } from './stream.ts';

const report = (message: StreamReport): void => parentPort?.postMessage(message);
const fail = (error: unknown): void => report(errorReport(error));
let stream: Stream | undefined;

// While the engine waits.
compileKernel();

parentPort?.on('message', (command: StreamCommand) => {
  void perform(command).catch(fail);
});

async function perform(command: StreamCommand): Promise<void> {
  if (command.type === 'plan') {
    stream = new Stream(command.plan);
    report({ type: 'connected', probe: await stream.connect(fail) });
  } else if (stream !== undefined) {
    report({ type: 'round-sent', sent: await stream.round(command.plan) });
  }
}
