/**
 * A file system that is full: under the destination's image before the first page or in a later round, when the image
 * is made, and under a daemon's state. The guest goes on at the source, the cause is named, and with room again the
 * next migration succeeds. A journal has its room from the start.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { problemType } from '@pageferry/protocol';
import { Daemon } from '@pageferry/scripts/harness';
import t, { type Test } from 'tap';
import { Ballast, mountInMemory, whyNotMount, type Mount } from '../src/host.ts';
import { movesNow } from '../src/outcomes.ts';
import { BLOCK_ID, Rig, type Ground } from '../src/rig.ts';
import { findStrayGuests, untilNoGuestAtDestination } from '../src/whereabouts.ts';

const MIB = 2 ** 20;
const SIZE_BYTES = 8 * MIB;
const skip = whyNotMount();

void t.test('the file system of the destination image is full', { skip }, async (t) => {
  const rig = await startOn(t, { zeroShare: 0.95 }, (directory) => {
    const options = 'size=24m,nr_inodes=3,mode=755';
    const mount = mountInMemory(join(directory, 'small'), 'tmpfs', options);
    const made = (): void => makeSparse(mount.path);
    return { destinationDirectory: mount.path, made, undo: () => mount.unmount() };
  });
  const small = join(rig.directory, 'small');

  await t.test('before the first page', async (t) => {
    const ballast = new Ballast(small, 0);
    await rig.migrate();
    await failsForRoom(t, rig);
    ballast.empty();
  });

  await t.test('in a later round, when holes are filled', async (t) => {
    const bulkEnd = rig.proxy.hold('round-result');
    await rig.migrate({ parameters: { 'min-rounds': 3 } });
    await bulkEnd.arrived;
    const ballast = new Ballast(small, 0);
    await rig.workload.untilItWrites();
    bulkEnd.release();
    await failsForRoom(t, rig);
    ballast.empty();
  });

  await t.test('when the image is made', async (t) => {
    const ballast = new Ballast(small, 0);
    const path = join(small, 'made.ram');
    const { token } = await rig.arm({ blocks: [{ id: BLOCK_ID, path, create: true }] });
    const problem = await rig.source.api.refusal('POST', '/migrate', rig.migrateRequest(token));
    t.equal(problem.type, problemType('image-io'), 'the request is refused');
    t.match(problem.detail, /cannot create .*ENOSPC/);
    t.notOk(existsSync(path), 'nothing is left');
    await rig.destination.api.abort();
    ballast.empty();
  });

  await movesNow(t, rig);
});

void t.test('the file system of the state directories is full', { skip }, async (t) => {
  const mounts: Mount[] = [];
  const rig = await startOn(t, {}, (directory) => {
    for (const side of ['source', 'destination'])
      mounts.push(mountInMemory(join(directory, `state-${side}`), 'tmpfs', 'size=1m,mode=755'));
    return { undo: () => mounts.forEach((mount) => mount.unmount()) };
  });

  await t.test('at the destination: it is said before the guest is paused', async (t) => {
    const ballast = new Ballast(rig.destination.stateDirectory, 0);
    const problem = await rig.destination.api.refusal('POST', '/incoming', rig.incomingRequest());
    t.match(problem.detail, /ENOSPC/, 'nothing is armed');
    t.same(await findStrayGuests(rig, 'source'), []);
    ballast.empty();
  });

  await t.test('at the source: the journal has its room', async (t) => {
    const ballast = new Ballast(rig.source.stateDirectory, 0);
    await movesNow(t, rig);
    ballast.empty();
  });
});

void t.test('a state directory that cannot be written ends a daemon at its start', { skip }, async (t) => {
  const directory = mkdtempSync('/dev/shm/pageferry-e2e-');
  const mount = mountInMemory(join(directory, 'readonly'), 'tmpfs', 'size=1m,mode=755');
  t.teardown(() => {
    mount.unmount();
    rmSync(directory, { recursive: true });
  });
  const sides = ['source', 'destination'] as const;
  for (const side of sides) mkdirSync(join(mount.path, `state-${side}`));
  mount.makeReadOnly();
  for (const side of sides) {
    const daemon = new Daemon({ side, directory: mount.path, imageRoot: directory });
    await t.rejects(daemon.start(), { message: /ended without[^]*EROFS/ }, side);
  }
});

async function startOn(
  t: Test,
  { zeroShare = 0.3 }: { readonly zeroShare?: number },
  ground: (directory: string) => Ground,
): Promise<Rig> {
  const rig = await Rig.start({ sizeBytes: SIZE_BYTES, zeroShare, ground });
  t.teardown(() => rig.end());
  return rig;
}

/** The destination's image loses its pages, and keeps its size. */
function makeSparse(directory: string): void {
  const path = join(directory, 'destination.ram');
  truncateSync(path, 0);
  truncateSync(path, SIZE_BYTES);
}

async function failsForRoom(t: Test, rig: Rig): Promise<void> {
  const status = await rig.source.api.untilOver();
  t.equal(status.status, 'failed', 'the migration fails');
  const { type, peer, hint } = status.pageferry.problem ?? {};
  t.same(
    { type, peer },
    { type: problemType('image-io'), peer: 'destination' },
    'as a fault of the image there',
  );
  t.match(status['error-desc'], /ENOSPC/, 'the cause is named');
  t.match(hint, /room/, 'and what helps');
  await rig.destination.api.untilOver();
  await untilNoGuestAtDestination(rig);
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest runs at the source only');
}
