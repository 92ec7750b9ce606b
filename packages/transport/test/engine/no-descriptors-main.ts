/** Takes every descriptor that there is, then wants an engine; prints the fault that it gets. */
import { closeSync, openSync } from 'node:fs';
import { EngineProcess } from '../../src/engine-process.ts';

const descriptors: number[] = [];
try {
  for (;;) descriptors.push(openSync('/dev/null', 'r'));
} catch {
  const engine = new EngineProcess('/dev/null');
  engine.giveFiles([0]);
  engine.send({});
  engine.attach({
    onMessage: () => undefined,
    onFailure: ({ fault }) => {
      for (const fd of descriptors) closeSync(fd);
      process.stdout.write(JSON.stringify(fault));
    },
  });
}
