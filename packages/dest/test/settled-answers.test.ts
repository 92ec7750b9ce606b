import t from 'tap';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DestinationRecord, Entry } from '@pageferry/handover';
import { SettledAnswers } from '../src/settled-answers.ts';

const idOf = (index: number): string => index.toString(16).padStart(32, '0');

function entry(index: number, handover: DestinationRecord): Entry<DestinationRecord> {
  const session = {
    sessionId: idOf(index),
    sessionKey: idOf(99),
    address: 'tcp:127.0.0.1:1',
    blocks: [],
    guest: {},
    engine: null,
  };
  return { version: 1, session, handover };
}

void t.test('what a session came to is known after a restart, the newest sixteen', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pageferry-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'settled.json');
  const answers = new SettledAnswers(path);
  for (let index = 1; index <= 20; index += 1) {
    answers.remember(entry(index, { phase: 'running', epoch: 1, runState: 'running', guest: {} }));
  }
  answers.remember(entry(21, { phase: 'aborted', epoch: 2, reason: 'because' }));
  answers.remember(entry(22, { phase: 'receiving', epoch: 1 }));
  answers.remember(null);
  const again = new SettledAnswers(path);
  t.match(again.find(Buffer.from(idOf(21), 'hex')), { phase: 'aborted', epoch: 2, reason: 'because' });
  t.match(again.find(Buffer.from(idOf(6), 'hex')), { phase: 'running', sessionKey: idOf(99) });
  t.equal(again.find(Buffer.from(idOf(5), 'hex')), undefined, 'older ones are forgotten');
  t.equal(again.find(Buffer.from(idOf(22), 'hex')), undefined, 'what is not over has no answer');
  t.end();
});
