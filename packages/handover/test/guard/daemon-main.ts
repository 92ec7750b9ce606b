// A daemon for the test that goes as far as it is told and waits to be killed: node daemon-main.js JOURNAL STEP.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startGuard } from '../../src/guard.ts';
import { Journal } from '../../src/journal.ts';
import { sourceExecutor } from '../../src/source-executor.ts';
import { beginSource } from '../../src/source-step.ts';
import { session } from '../samples.ts';
import { tryLock } from './lock.ts';

const [, , path = '', step = ''] = process.argv;
const journal = Journal.source({ path, tryLock });
journal.useSession(session);
const script = join(dirname(fileURLToPath(import.meta.url)), 'guard-main.js');
const guard = startGuard({ command: [process.execPath, script, path] });
guard.watch(() => process.exit(3));
const first = beginSource(1);
const handover = sourceExecutor(first, {
  journal,
  guard,
  guest: { pause: () => Promise.resolve(), resume: () => Promise.resolve('resumed') },
  endEngine: () => Promise.resolve(),
  send: () => undefined,
  report: () => undefined,
});
await handover.begin(first.effects);
if (step !== 'precopy') await handover.deliver({ type: 'begin-switchover', priorRunState: 'running' });
if (step === 'committed' || step === 'rolled-back') await handover.deliver({ type: 'final-round-done' });
if (step === 'committed') await handover.deliver({ type: 'message', epoch: 1, message: { type: 'ready' } });
if (step === 'rolled-back') await handover.deliver({ type: 'cancel' });
process.stdout.write(`${handover.state.phase} ${guard.pid}\n`);
setInterval(() => undefined, 60_000);
