/**
 * A network that swallows everything and closes nothing, in the bulk stage, in the handover and after the commit; and
 * strangers who connect and say nothing. Silence is noticed, the guest runs on one side only, and what follows succeeds.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseTcpAddress, PENDING_CONNECTIONS_MAX, problemType } from '@pageferry/protocol';
import { processState, signalIfThere } from '@pageferry/scripts/harness';
import t from 'tap';
import { failsAtSource, hasMoved } from '../src/outcomes.ts';
import { Rig } from '../src/rig.ts';
import { findStrayGuests } from '../src/whereabouts.ts';

const MIB = 2 ** 20;
const SIZE_BYTES = 8 * MIB;
const PINGS = { 'ping-interval': 250, 'ping-timeout': 1500 };

void t.test('everything is swallowed', async (t) => {
  const rig = await Rig.start({ sizeBytes: SIZE_BYTES });
  t.teardown(() => rig.end());

  await t.test('in the bulk stage', async (t) => {
    await rig.migrate({ parameters: { ...PINGS, 'max-bandwidth': MIB } }, { parameters: PINGS });
    await rig.source.api.until('some coverage', ({ pageferry }) => pageferry.coverage > 0);
    const stall = rig.proxy.stall();
    await failsAtSource(t, rig);
    stall.release();
  });

  await t.test('by the source engine in the final round, while the guest is paused', async (t) => {
    await rig.migrate({
      capabilities: { 'pause-before-switchover': true },
      parameters: { 'switchover-timeout': 1000 },
    });
    await rig.source.api.until('pre-switchover', ({ status }) => status === 'pre-switchover');
    const { engine } = (await rig.source.api.status()).pageferry;
    if (engine === undefined) throw new Error('the status names no engine');
    signalIfThere(engine.pid, 'SIGSTOP');
    await rig.source.api.continue();
    const { pageferry } = await failsAtSource(t, rig);
    t.equal(pageferry.problem?.type, problemType('switchover-timeout'));
  });

  await t.test('in the handover, the destination is ready', async (t) => {
    const ready = rig.proxy.hold('ready');
    await rig.migrate({ parameters: PINGS }, { parameters: PINGS });
    await ready.arrived;
    const stall = rig.proxy.stall();
    ready.discard();
    t.equal((await rig.source.api.untilOver()).status, 'failed', 'the source takes the guest back');
    t.same(await findStrayGuests(rig, 'source'), [], 'which runs there only');
    t.equal((await rig.destination.api.status()).pageferry.phase, 'awaiting-source', 'the destination waits');
    stall.release();
    await failsAtSource(t, rig);
  });

  await t.test('after the commit', async (t) => {
    const commit = rig.proxy.hold('commit');
    await rig.migrate({ parameters: PINGS }, { parameters: PINGS });
    await commit.arrived;
    const stall = rig.proxy.stall();
    commit.discard();
    await rig.source.api.until('asking again', ({ pageferry }) => pageferry.phase === 'reconnecting');
    t.equal(processState(rig.guest.pid), 'T', 'the guest stays stopped at the source');
    t.equal(rig.workload.operationCountOf('destination'), 0, 'and is not started at the destination');
    stall.release();
    await hasMoved(t, rig);
  });
});

void t.test('strangers connect and say nothing', async (t) => {
  const rig = await Rig.start({ sizeBytes: SIZE_BYTES });
  t.teardown(() => rig.end());
  const { uri, token } = await rig.arm();
  const strangers = await Promise.all(
    Array.from({ length: 2 * PENDING_CONNECTIONS_MAX }, () => connectTo(uri)),
  );
  t.teardown(() => strangers.forEach((socket) => socket.destroy()));
  const { retryable, detail } = await rig.source.api.refusal('POST', '/migrate', rig.migrateRequest(token));
  t.equal(retryable, true, detail);
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest runs at the source');
  for (const socket of strangers) if (!socket.closed) await once(socket, 'close');
  t.pass('the strangers are closed by the destination');
  await rig.source.api.migrate(rig.migrateRequest(token));
  await hasMoved(t, rig);
});

async function connectTo(uri: string): Promise<Socket> {
  const address = parseTcpAddress(uri);
  if (address === undefined) throw new Error(`${uri} is no address`);
  const socket = connect(address);
  socket.on('error', () => socket.destroy());
  socket.resume();
  await once(socket, 'connect');
  return socket;
}
