/** Entry of a stream's thread: gets its plan, adopts its connection when it comes, digests files again when asked. */
import { parentPort } from 'node:worker_threads';
import { errorReport } from '@pageferry/transport';
import { compileKernel } from '@pageferry/xbzrle';
import type { StreamCommand, StreamReport } from './messages.ts';
import { Stream } from './stream.ts';

const report = (message: StreamReport): void => parentPort?.postMessage(message);
let stream: Stream | undefined;

// While the engine waits.
compileKernel();

parentPort?.on('message', (command: StreamCommand) => {
  try {
    perform(command);
  } catch (error) {
    report(errorReport(error));
  }
});

function perform(command: StreamCommand): void {
  switch (command.type) {
    case 'plan':
      stream = new Stream(command.plan, report);
      break;
    case 'connection':
      stream?.adopt(command.fd);
      break;
    case 'reread':
      stream?.reread();
      break;
  }
}
