/**
 * POST /takeover: a host is gone for good after the other one was given the guest, or the last word about it. The
 * operator's word makes it run on the host that is left, once and with its memory; and nothing but that.
 */
import { randomUUID } from 'node:crypto';
import t, { type Test } from 'tap';
import {
  phase as statusPhase,
  problemType,
  type ProblemDetails,
  type ProblemName,
} from '@pageferry/protocol';
import { eventually, processState, untilGone } from '@pageferry/scripts/harness';
import { loseDestination, loseSource } from '../src/lost-host.ts';
import { reachBulk, reachMessage } from '../src/reach.ts';
import type { Rig } from '../src/rig.ts';
import { findStrayGuests, runningGuests } from '../src/whereabouts.ts';
import { endsAborted, movesNow, startRig } from './kill/outcomes.ts';

type Side = 'source' | 'destination';

void t.test('destination host lost after the commit, which it never heard', async (t) => {
  const rig = await startRig(t);
  await reachMessage(rig, 'commit');
  await loseDestination(rig);
  const id = await untilReconnecting(rig);
  t.equal(processState(rig.guest.pid), 'T', 'nothing resumes the guest by itself');
  await rig.source.api.takeOver(id);
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest goes on at the source');
  const status = await rig.source.api.untilOver();
  t.equal(status.status, 'failed');
  t.equal(status.pageferry.problem?.type, problemType('taken-over'));
  await rig.source.api.takeOver(id);
  t.same(await findStrayGuests(rig, 'source'), [], 'said again it changes nothing');
  await memoryIsRightAtSource(t, rig);
});

void t.test('the same with the source daemon started again, before the takeover and after it', async (t) => {
  const rig = await startRig(t);
  await reachMessage(rig, 'commit');
  await loseDestination(rig);
  await rig.source.kill();
  await rig.source.start();
  const id = await untilReconnecting(rig);
  t.equal(processState(rig.guest.pid), 'T', 'nothing resumes the guest by itself');
  await rig.source.api.takeOver(id);
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest goes on at the source');
  await rig.source.kill();
  await rig.source.start();
  const { status, pageferry } = await rig.source.api.status();
  t.same({ status, type: pageferry.problem?.type }, { status: 'failed', type: problemType('taken-over') });
  t.same(await findStrayGuests(rig, 'source'), []);
  await memoryIsRightAtSource(t, rig);
});

void t.test('a destination that is back after the takeover, still prepared, gets its abort', async (t) => {
  const rig = await startRig(t);
  const hold = await reachMessage(rig, 'commit');
  await rig.destination.kill();
  await rig.source.api.takeOver(await untilReconnecting(rig));
  hold.discard();
  await rig.destination.start();
  await endsAborted(t, rig);
  await movesNow(t, rig);
});

void t.test('a destination that is back after the takeover and says running is reported', async (t) => {
  const rig = await startRig(t);
  const hold = await reachMessage(rig, 'running');
  await rig.workload.untilItWritesAtDestination();
  await loseDestination(rig);
  hold.discard();
  const id = await untilReconnecting(rig);
  await rig.source.api.takeOver(id);
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest goes on at the source');
  await rig.destination.start();
  const conflict = await eventually('the report', async () => {
    const { problem } = (await rig.source.api.status()).pageferry;
    return problem?.type === problemType('two-owners') ? problem : undefined;
  });
  t.match(conflict.detail, /destination says that it is running there/);
  t.same(runningGuests(rig), ['source'], 'nothing was ended or started by that');
  const logged = await eventually('the report in the log', () =>
    rig.source.lines.find((line) => line.includes('two owners of one guest')),
  );
  t.match(logged, /"level":(50|"error")/, 'which has it as an error');
});

for (const name of ['ready', 'commit'] as const) {
  void t.test(`source host lost, ${name} held`, async (t) => {
    const rig = await startRig(t);
    await reachMessage(rig, name);
    const id = await loseSourceAndNotice(rig);
    t.same(runningGuests(rig), [], 'nothing starts the guest by itself');
    await rig.destination.api.takeOver(id);
    await runsAtDestination(t, rig);
    await rig.destination.api.takeOver(id);
    t.same(await findStrayGuests(rig, 'destination'), [], 'said again it changes nothing');
    t.same(await rig.findProblems(), [], 'with all of its memory');
  });

  void t.test(`source host lost, ${name} held, the destination daemon started again`, async (t) => {
    const rig = await startRig(t);
    await reachMessage(rig, name);
    const id = await loseSourceAndNotice(rig);
    await rig.destination.kill();
    await rig.destination.start();
    t.same(runningGuests(rig), [], 'nothing starts the guest by itself');
    await rig.destination.api.takeOver(id);
    await runsAtDestination(t, rig);
    t.same(await rig.findProblems(), [], 'with all of its memory');
  });
}

void t.test('a source daemon that is back after the takeover hears where its guest is', async (t) => {
  const rig = await startRig(t);
  await reachMessage(rig, 'ready');
  const id = await loseSourceAndNotice(rig);
  await rig.destination.api.takeOver(id);
  await rig.workload.untilItWritesAtDestination();
  await rig.source.start();
  await eventually('the report', async () => {
    const { problem } = (await rig.source.api.status()).pageferry;
    return problem?.type === problemType('two-owners') ? true : undefined;
  });
  t.same(await findStrayGuests(rig, 'destination'), [], 'the guest goes on at the destination');
});

void t.test('what cannot be taken over', async (t) => {
  const rig = await startRig(t);
  const unknown = randomUUID();
  for (const side of ['source', 'destination'] as const) {
    await isRefused(t, rig, side, unknown, 'migration-unknown', { hint: undefined });
    const bodies = [{}, { 'migration-id': 'x' }, { 'migration-id': unknown, force: true }];
    for (const body of bodies) {
      const { status } = await rig[side].api.refusal('POST', '/takeover', body);
      t.equal(status, 400, `${side}: ${JSON.stringify(body)}`);
    }
  }

  await reachBulk(rig);
  const id = await migrationId(rig);
  await isRefused(t, rig, 'source', unknown, 'migration-unknown');
  await isRefused(t, rig, 'destination', unknown, 'migration-unknown');
  await isRefused(t, rig, 'source', id, 'nothing-to-take-over', {
    hint: /POST \/cancel/,
    phase: /^bulk$/,
  });
  await isRefused(t, rig, 'destination', id, 'nothing-to-take-over', { hint: /POST \/abort/ });
  await rig.source.api.cancel();
  await rig.source.api.untilOver();
  await rig.source.api.takeOver(id);
  await rig.destination.api.untilOver();
  await isRefused(t, rig, 'destination', id, 'nothing-to-take-over');
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest goes on at the source');
});

void t.test('a peer that is connected is not gone', async (t) => {
  const rig = await startRig(t);
  const ready = rig.proxy.hold('ready');
  const commit = rig.proxy.hold('commit');
  const { 'migration-id': id } = await rig.migrate();
  await ready.arrived;
  await isRefused(t, rig, 'source', id, 'nothing-to-take-over', { hint: /POST \/cancel/ });
  await isRefused(t, rig, 'destination', id, 'peer-connected');
  ready.release();
  await commit.arrived;
  await isRefused(t, rig, 'source', id, 'peer-connected');
  await isRefused(t, rig, 'destination', id, 'peer-connected');
  commit.release();
  await rig.untilMoved();
  await isRefused(t, rig, 'source', id, 'past-point-of-no-return');
  await rig.destination.api.takeOver(id);
  await rig.source.kill();
  await rig.source.start();
  await isRefused(t, rig, 'source', id, 'past-point-of-no-return');
  t.same(await findStrayGuests(rig, 'destination'), [], 'the guest runs at the destination');
  t.same(await rig.findProblems(), []);
});

async function isRefused(
  t: Test,
  rig: Rig,
  side: Side,
  id: string,
  name: ProblemName,
  also: { readonly [Key in keyof ProblemDetails]?: RegExp | undefined } = {},
): Promise<void> {
  const problem = await rig[side].api.refusal('POST', '/takeover', { 'migration-id': id });
  t.match(problem, { type: problemType(name), peer: side, ...also }, `${side}: ${name}`);
  const { phase } = problem;
  t.ok(phase === undefined || statusPhase.safeParse(phase).success, `a phase of the status: ${phase}`);
}

async function migrationId(rig: Rig): Promise<string> {
  const { 'migration-id': id } = (await rig.source.api.status()).pageferry;
  if (id === undefined) throw new Error('the status names no migration');
  return id;
}

async function untilReconnecting(rig: Rig): Promise<string> {
  await rig.source.api.until('asking again', ({ pageferry }) => pageferry.phase === 'reconnecting');
  return migrationId(rig);
}

/** @returns the migration's id, once the destination has noticed. */
async function loseSourceAndNotice(rig: Rig): Promise<string> {
  const id = await migrationId(rig);
  await loseSource(rig);
  const api = rig.destination.api;
  await api.until('the loss', ({ pageferry }) => pageferry.phase === 'awaiting-source');
  return id;
}

async function runsAtDestination(t: Test, rig: Rig): Promise<void> {
  await rig.workload.untilItWritesAtDestination();
  t.same(await findStrayGuests(rig, 'destination'), [], 'the guest goes on at the destination');
  t.equal((await rig.destination.api.untilOver()).status, 'completed');
}

async function memoryIsRightAtSource(t: Test, rig: Rig): Promise<void> {
  rig.guest.signal('SIGTERM');
  await untilGone(rig.guest.pid);
  t.same(await rig.workload.findProblems(rig.sourceImage), [], 'with all of its memory');
}
