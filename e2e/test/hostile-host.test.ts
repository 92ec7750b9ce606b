/**
 * A host that changes under a migration: the destination's image is moved, replaced or forbidden, the wall clock jumps,
 * the image's file system has no holes or is on a disk. Either the migration completes, or the guest goes on at the
 * source, the cause is named, and the next migration succeeds.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { problemType, type ProblemName } from '@pageferry/protocol';
import t, { type Test } from 'tap';
import {
  asOtherUser,
  giveToOtherUser,
  mountInMemory,
  mountOnDisk,
  whyNotMount,
  whyNotOtherUser,
} from '../src/host.ts';
import { movesNow } from '../src/outcomes.ts';
import { Rig, type Ground } from '../src/rig.ts';
import { findStrayGuests, untilNoGuestAtDestination } from '../src/whereabouts.ts';

const SIZE_BYTES = 8 * 2 ** 20;
const DAY_MS = 86_400_000;

interface Row {
  readonly name: string;
  readonly spoil: (image: string) => void;
  readonly mend: (image: string) => void;
  readonly problem: ProblemName;
  readonly detail: RegExp;
}

/** What happens to the destination's image after its daemon has opened it. */
const spoiled: readonly Row[] = [
  {
    name: 'renamed',
    spoil: (image) => renameSync(image, `${image}.old`),
    mend: (image) => renameSync(`${image}.old`, image),
    problem: 'image-missing',
    detail: /does not exist/,
  },
  {
    name: 'replaced by a copy',
    spoil: (image) => {
      copyFileSync(image, `${image}.copy`);
      renameSync(`${image}.copy`, image);
    },
    mend: () => undefined,
    problem: 'image-missing',
    detail: /replaced/,
  },
];

void t.test('the name of the destination image leads elsewhere under way', async (t) => {
  const rig = await startOn(t);
  for (const row of spoiled) {
    await t.test(row.name, (t) => isRefusedBeforeTheGuestStarts(t, rig, row));
  }
  await movesNow(t, rig);
});

void t.test('daemons that are not root lose their permissions', { skip: whyNotOtherUser() }, async (t) => {
  const other = { launcher: asOtherUser() };
  const rig = await startOn(t, (directory) => ({
    source: other,
    destination: other,
    guest: other,
    made: () => {
      giveToOtherUser(directory);
      for (const name of ['source.ram', 'destination.ram']) giveToOtherUser(join(directory, name));
    },
  }));

  await t.test('the source image may not be read', async (t) => {
    chmodSync(rig.sourceImage, 0);
    const { token } = await rig.arm();
    const problem = await rig.source.api.refusal('POST', '/migrate', rig.migrateRequest(token));
    t.equal(problem.type, problemType('image-permission'));
    await rig.destination.api.abort();
    chmodSync(rig.sourceImage, 0o600);
    t.same(await findStrayGuests(rig, 'source'), []);
  });

  await t.test('the destination image may not be written', async (t) => {
    chmodSync(rig.destinationImage, 0o400);
    const problem = await rig.destination.api.refusal('POST', '/incoming', rig.incomingRequest());
    t.equal(problem.type, problemType('image-permission'));
    chmodSync(rig.destinationImage, 0o600);
  });

  await t.test('the destination image may not be opened any more under way', (t) =>
    isRefusedBeforeTheGuestStarts(t, rig, {
      name: '',
      spoil: (image) => chmodSync(image, 0o400),
      mend: (image) => chmodSync(image, 0o600),
      problem: 'image-permission',
      detail: /EACCES/,
    }),
  );

  await movesNow(t, rig);
});

void t.test('the wall clock jumps a day forwards and back all the time', async (t) => {
  const rig = await startOn(t, (directory) => {
    const jumps = join(directory, 'jumping-clock.cjs');
    writeFileSync(jumps, JUMPING_CLOCK);
    const nodeOptions = `--require=${jumps}`;
    return { source: { nodeOptions }, destination: { nodeOptions } };
  });
  const begunMs = performance.now();
  await rig.migrate({ parameters: { 'min-rounds': 2 } });
  const status = await rig.untilMoved();
  const tookMs = performance.now() - begunMs;
  const { 'total-time': totalMs = -1, downtime: downtimeMs = -1, 'setup-time': setupMs = -1 } = status;
  t.ok(totalMs > 0 && totalMs <= tookMs, `total-time ${totalMs} ms of ${tookMs} ms here`);
  t.ok(downtimeMs >= 0 && downtimeMs <= totalMs, `downtime ${downtimeMs} ms`);
  t.ok(setupMs >= 0 && setupMs <= totalMs, `setup-time ${setupMs} ms`);
  const stamps = rig.source.lines.map((line) => Number(/"time":(\d+)/.exec(line)?.[1] ?? Number.NaN));
  const jumped = stamps.some((stamp) => Math.abs(stamp - Date.now()) > DAY_MS / 2);
  t.ok(jumped, 'the clock of the daemon did jump');
  t.same(await rig.findProblems(), []);
});

void t.test('a file system without holes, the other image on a disk', { skip: whyNotMount() }, async (t) => {
  const rig = await Rig.start({
    sizeBytes: SIZE_BYTES,
    zeroShare: 0.7,
    ground: (directory) => {
      const disk = mountOnDisk(join(directory, 'disk'), 64 * 2 ** 20);
      const holeless = mountInMemory(join(directory, 'holeless'), 'ramfs');
      return {
        sourceDirectory: disk.path,
        destinationDirectory: holeless.path,
        undo: () => [disk, holeless].forEach((mount) => mount.unmount()),
      };
    },
  });
  t.teardown(() => rig.end());
  t.throws(() => punch(rig.destinationImage), /fallocate failed/, 'there are no holes to make');
  await rig.migrate({ parameters: { 'min-rounds': 2 } });
  const status = await rig.untilMoved();
  t.equal(rig.workload.verdict, 'identical', 'cmp finds the images identical at the handover');
  t.ok((status.pageferry.rounds[0]?.duplicate ?? 0) > 0, 'zero pages were sent, and are zero');
  t.same(await rig.findProblems(), [], 'the oracle finds nothing wrong');
});

void t.test('an image made on a disk, from a file without holes', { skip: whyNotMount() }, async (t) => {
  const rig = await Rig.start({
    sizeBytes: SIZE_BYTES,
    zeroShare: 0.7,
    ground: (directory) => {
      const disk = mountOnDisk(join(directory, 'disk'), 64 * 2 ** 20);
      const holeless = mountInMemory(join(directory, 'holeless'), 'ramfs');
      return {
        sourceDirectory: holeless.path,
        destinationDirectory: disk.path,
        made: () => {
          truncateSync(join(disk.path, 'destination.ram'), 0);
          truncateSync(join(disk.path, 'destination.ram'), SIZE_BYTES);
        },
        undo: () => [disk, holeless].forEach((mount) => mount.unmount()),
      };
    },
  });
  t.teardown(() => rig.end());
  await movesNow(t, rig);
});

const JUMPING_CLOCK = `
const RealDate = Date;
let calls = 0;
const now = () => RealDate.now() + [0, ${DAY_MS}, -${DAY_MS}][calls++ % 3];
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(now());
    else super(...args);
  }
  static now() {
    return now();
  }
};
`;

async function startOn(t: Test, ground: (directory: string) => Ground = () => ({})): Promise<Rig> {
  const rig = await Rig.start({ sizeBytes: SIZE_BYTES, ground });
  t.teardown(() => rig.end());
  return rig;
}

/** The pages go on to the open file; what the guest could not open is no guest's memory. */
async function isRefusedBeforeTheGuestStarts(t: Test, rig: Rig, row: Row): Promise<void> {
  const hold = rig.proxy.hold('handover');
  await rig.migrate();
  await hold.arrived;
  row.spoil(rig.destinationImage);
  hold.release();
  const status = await rig.source.api.untilOver();
  row.mend(rig.destinationImage);
  t.equal(status.status, 'failed', 'the migration fails');
  const { type, peer } = status.pageferry.problem ?? {};
  t.same({ type, peer }, { type: problemType(row.problem), peer: 'destination' }, 'the cause is named');
  t.match(status['error-desc'], row.detail);
  await rig.destination.api.untilOver();
  await untilNoGuestAtDestination(rig);
  t.same(await findStrayGuests(rig, 'source'), [], 'the guest runs at the source only');
}

function punch(path: string): void {
  execFileSync('fallocate', ['--punch-hole', '--offset=0', '--length=4096', path], { stdio: 'pipe' });
}
