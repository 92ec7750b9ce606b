/** What two daemons send each other is captured and read back by the dump, whole, with nothing wrong in it. */
import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { dumpStream, TEXT } from '@pageferry/scripts';
import { captureAll } from '../src/capture-all.ts';

void t.test('every captured direction can be read', async (t) => {
  const directory = t.testdir();
  await captureAll(directory);
  const dumps = new Map<string, string>();
  for (const name of readdirSync(directory)) {
    let text = '';
    const write = async (more: string): Promise<void> => {
      text += more;
    };
    const options = { showsRecords: false };
    t.ok(await dumpStream(createReadStream(join(directory, name)), TEXT, write, options), `${name}: ${text}`);
    dumps.set(name, text);
  }
  for (const connection of [2, 3]) {
    const pages = dumps.get(`migration-connection-${connection}-source.bin`) ?? '';
    for (const kind of ['zero', 'normal', 'xbzrle']) t.match(pages, `${kind}: `, `${kind} on ${connection}`);
    t.match(pages, /round 4, .*frameCount=1$/m, 'the final round has pages');
  }
  const control = (name: string): string => dumps.get(`${name}-source.bin`) ?? '';
  t.match(control('migration-connection-1'), 'type=commit');
  t.match(control('cancelled-connection-1'), 'type=abort');
  t.match(control('resolved-connection-3'), 'purpose=resolve');
  t.match(dumps.get('rejected-connection-1-destination.bin'), 'type=reject');
});
