/** What runs in the nested guest: one part of the bench, by name. Each result is a line that the host reads. */
import { DaemonPair } from '../daemon-pair.ts';
import { compareTrackers } from './comparison.ts';
import { againIfCrashed } from './emulator.ts';
import { runLoss } from './loss-run.ts';
import { LOSSES } from './losses.ts';
import { RESULT_PREFIX, type NestedResult } from './results.ts';

function print(result: NestedResult): void {
  process.stdout.write(`${RESULT_PREFIX}${JSON.stringify(result)}\n`);
}

/** Those whose name has the text. */
async function losses(text: string): Promise<void> {
  const pair = await DaemonPair.start();
  try {
    for (const loss of LOSSES.filter(({ name }) => name.includes(text))) {
      for (const finalScan of [true, false]) {
        const result = await againIfCrashed(
          () => runLoss(pair, loss, finalScan),
          () => pair.proxy.calm(),
        );
        print({ type: 'loss', ...result });
      }
    }
  } finally {
    await pair.end();
  }
}

const [part, text = ''] = process.argv.slice(2);
switch (part) {
  case 'losses':
    await losses(text);
    break;
  case 'comparison':
    await compareTrackers(print);
    break;
  default:
    throw new Error(`there is no part ${part ?? ''}`);
}
