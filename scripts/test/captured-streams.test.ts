// Streams that this version of the protocol has sent must always be readable: each fixture is decoded whole and compared
// with its dump. UPDATE=1 writes the dumps anew; the captures change only by capturing.
import t from 'tap';
import { createReadStream, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dumpStream } from '../src/dump/dump.ts';
import { TEXT } from '../src/dump/format.ts';

// From dist/test, where the compiled file is.
const directory = fileURLToPath(
  new URL('../../../packages/protocol/test/fixtures/version-1/', import.meta.url),
);
const captures = readdirSync(directory).filter((name) => name.endsWith('.bin'));
/** What all captures together may take in the repository. */
const CAPTURES_MAX_BYTES = 200 * 1024;

void t.test('every capture is decoded whole, to what its dump says', async (t) => {
  const dumps: string[] = [];
  for (const name of captures) {
    const { text, isWhole } = await dumpOf(directory + name);
    const path = `${directory}${name.replace(/bin$/, 'txt')}`;
    if (process.env['UPDATE'] === '1') writeFileSync(path, text);
    t.ok(isWhole, `${name} to its end`);
    t.equal(text, readFileSync(path, 'utf8'), name);
    dumps.push(text);
  }
  const all = dumps.join('');
  for (const part of [
    'kind=control',
    'kind=data',
    'stream=1 streamCount=2',
    'zero: ',
    'normal: ',
    'xbzrle: ',
    ' stream-round-end ',
    ' data-accept ',
    ...[
      'hello',
      'welcome',
      'reject',
      'round-end',
      'round-result',
      'handover',
      'ready',
      'commit',
      'running',
    ].map((name) => `type=${name} `),
    'type=abort ',
    'type=aborted ',
    'purpose=resolve ',
  ])
    t.ok(all.replaceAll('\n', ' ').includes(part), `there is ${part}`);
});

void t.test('the captures are small', (t) => {
  t.plan(1);
  const sizes = captures.map((name) => statSync(directory + name).size);
  t.ok(sizes.reduce((sum, size) => sum + size, 0) < CAPTURES_MAX_BYTES);
});

async function dumpOf(path: string): Promise<{ readonly text: string; readonly isWhole: boolean }> {
  let text = '';
  const write = async (more: string): Promise<void> => {
    text += more;
  };
  const isWhole = await dumpStream(createReadStream(path), TEXT, write, { showsRecords: true });
  return { text, isWhole };
}
