/**
 * An armed destination that is given up while a source's hello is being considered: once the operator has the answer,
 * the image is free for the next migration.
 */
import { RefusedError, signalIfThere } from '@pageferry/scripts/harness';
import t from 'tap';
import { Rig } from '../src/rig.ts';

const SIZE_BYTES = 8 * 2 ** 20;
const ATTEMPT_COUNT = 5;

void t.test('aborted while a hello is considered', async (t) => {
  const rig = await Rig.start({ sizeBytes: SIZE_BYTES });
  t.teardown(() => rig.end());
  for (let attempt = 0; attempt < ATTEMPT_COUNT; attempt += 1) {
    const hello = rig.proxy.hold('hello');
    const answered = rig.migrate().then(
      () => true,
      () => false,
    );
    await hello.arrived;
    // The stopped daemon finds both at once when it goes on.
    const { pid } = rig.destination;
    signalIfThere(pid, 'SIGSTOP');
    hello.release();
    const aborted = giveUp(rig);
    setImmediate(() => signalIfThere(pid, 'SIGCONT'));
    await aborted;
    await t.resolves(rig.arm(), 'the image is free');
    await rig.destination.api.abort();
    if (await answered) await rig.source.api.untilOver();
  }
  await rig.migrate();
  await rig.untilMoved();
  t.same(await rig.findProblems(), []);
});

/** On a busy machine the source may have been accepted before the word comes: then the session is named. */
async function giveUp({ destination: { api } }: Rig): Promise<void> {
  try {
    await api.abort();
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    await api.abort((await api.status()).pageferry['migration-id']);
  }
}
