/** The guest itself finds what is wrong with its memory: one bit that changes behind everybody's back, in a page of its pattern. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { nextLine } from '@pageferry/scripts/qemu';
import t, { type Test } from 'tap';
import { startQemuRig } from '../../src/qemu/outcomes.ts';

const PAGE_BYTES = 4096;
const MIB = 2 ** 20;

void t.test('a bit that changes in the image while the guest is paused', async (t) => {
  const rig = await startQemuRig(t);
  const commit = rig.proxy.hold('commit');
  await rig.migrate();
  await rig.reach(commit);
  changePatternPage(rig.pair.image(rig.other), t);
  commit.release();
  t.equal((await rig.source.api.untilOver()).status, 'completed');
  await nextLine(rig.pair.consoles[rig.other], 'ERROR', (text) => text.startsWith('ERROR page'));
  t.match(rig.findProblems().join('; '), /printed: ERROR page \d+ word \d+/, 'the guest says which page');
});

/** The last page in the file that looks like one of the pattern's: its first word has a generation and an index. */
function changePatternPage(path: string, t: Test): void {
  const file = openSync(path, 'r+');
  const page = Buffer.alloc(PAGE_BYTES);
  for (let at = 256 * MIB; at > 0; at -= PAGE_BYTES) {
    readSync(file, page, 0, PAGE_BYTES, at);
    const index = page.readUInt32LE(4);
    const words = [page.readBigUInt64LE(64), page.readBigUInt64LE(72), page.readBigUInt64LE(80)] as const;
    const isLinear = words[1] - words[0] === words[2] - words[1];
    if (index === 0 || index > 60_000 || !isLinear || words[0] === words[1]) continue;
    writeSync(file, Buffer.of(page.readUInt8(2048) ^ 1), 0, 1, at + 2048);
    closeSync(file);
    t.comment(`page ${index} of the pattern, at ${at}`);
    return;
  }
  throw new Error('no page of the pattern was found');
}
