import { EventEmitter, once } from 'node:events';
import {
  closeSync,
  cpSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Tracker, Warning } from '@pageferry/protocol';
import { pino } from 'pino';
import t from 'tap';
import { createTracking } from '../src/create-tracking.ts';
import type { TrackedGuest, Tracking } from '../src/tracking.ts';
import { GUEST_PID, makeProc, writeCounters, type FakeProc } from './fake-proc.ts';

const SOFT_DIRTY: Tracker = { type: 'soft-dirty', 'final-scan': true };
const NO_FINAL_SCAN: Tracker = { type: 'soft-dirty', 'final-scan': false };
const logger = pino({ level: 'silent' });

function trackingOf(
  { proc }: FakeProc,
  requested: Tracker,
  isGuestless = false,
): { readonly tracking: Tracking; readonly warnings: Warning[] } {
  const warnings: Warning[] = [];
  const warn = (warning: Warning): unknown => warnings.push(warning);
  const tracking = createTracking({ requested, isGuestless, logger, warn, proc });
  t.teardown(() => tracking.release());
  return { tracking, warnings };
}

function guestOf({ image }: FakeProc, pulse: TrackedGuest['pulse'] = async (work) => work()): TrackedGuest {
  return { images: [image], reasons: async () => [], pulse };
}

function cleared({ proc }: FakeProc): string {
  return readFileSync(join(proc, String(GUEST_PID), 'clear_refs'), 'utf8');
}

void t.test('the scan tracker clears nothing and is about everything', async (t) => {
  t.plan(6);
  const fake = makeProc(t);
  const { tracking } = trackingOf(fake, { type: 'scan' });
  await tracking.prepare([fake.image]);
  await tracking.startAttempt(guestOf(fake, () => Promise.reject(new Error('no pulse is wanted'))));
  tracking.roundEnded(0, 'everything', []);
  t.equal(cleared(fake), '');
  t.equal(tracking.scope, 'everything');
  t.equal(await tracking.checkConditions(), 'everything');
  t.equal(tracking.takeWatched(), undefined);
  t.equal(tracking.mayOmitFinalScan, false);
  t.same(tracking.status, { requested: 'scan', type: 'scan', 'final-scan': true });
});

void t.test(
  'cleared in the pulse; then everything once, then what was written, then everything',
  async (t) => {
    const fake = makeProc(t);
    const { tracking, warnings } = trackingOf(fake, SOFT_DIRTY);
    await tracking.prepare([fake.image]);
    t.equal(cleared(fake), '', 'nothing is cleared before the guest is stopped');
    const pulse = async (work: () => Promise<void>): Promise<void> => {
      t.equal(cleared(fake), '');
      await work();
      t.equal(cleared(fake), '4');
    };
    await tracking.startAttempt(guestOf(fake, pulse));
    t.equal(tracking.scope, 'everything', 'the first round');
    t.match(tracking.takeWatched(), [{ file: { path: fake.image.path }, writers: [{ pid: GUEST_PID }] }]);
    t.equal(tracking.takeWatched(), undefined, 'only the first round takes it along');
    tracking.roundEnded(0, 'everything', []);
    t.equal(tracking.scope, 'written');
    t.equal(await tracking.checkConditions(), 'everything', 'the final scan');
    tracking.roundEnded(1, 'written', ['process 4711 has ended']);
    t.match(tracking.status, {
      requested: 'soft-dirty',
      type: 'soft-dirty',
      'final-scan': true,
      'failed-conditions': [],
      clears: 1,
      processes: 1,
      'full-scans': [{ round: 1, reason: 'process 4711 has ended' }],
    });
    await tracking.startAttempt(guestOf(fake));
    t.equal(tracking.scope, 'everything', 'another attempt begins anew');
    t.equal(tracking.status.clears, 2);
    t.same(warnings, []);
  },
);

void t.test('without the final scan, as long as every condition holds', async (t) => {
  const fake = makeProc(t);
  const { tracking } = trackingOf(fake, NO_FINAL_SCAN);
  await tracking.prepare([fake.image]);
  t.ok(tracking.mayOmitFinalScan);
  await tracking.startAttempt(guestOf(fake));
  t.equal(await tracking.checkConditions(), 'everything', 'nothing was scanned yet');
  tracking.roundEnded(0, 'everything', []);
  t.equal(tracking.scope, 'written-or-unmapped');
  t.equal(await tracking.checkConditions(), 'written-or-unmapped');
  t.same(tracking.status['failed-conditions'], []);
  writeCounters(fake.proc, 9);
  t.equal(await tracking.checkConditions(), 'everything');
  t.match(tracking.status['failed-conditions'], [/pswpout .* from 0 to 9/]);
  writeCounters(fake.proc, 0);
  t.equal(await tracking.checkConditions(), 'written-or-unmapped');
  tracking.release();
  t.equal(tracking.status['final-scan'], false, 'what was done stays to be seen');
  t.equal(tracking.status.processes, 1);
});

void t.test(
  'a write that no bit tells, and facts that cannot be read, bring the final scan back',
  async (t) => {
    const fake = makeProc(t);
    const { tracking } = trackingOf(fake, NO_FINAL_SCAN);
    await tracking.startAttempt(guestOf(fake));
    tracking.roundEnded(0, 'everything', []);
    rmSync(join(fake.proc, 'vmstat'));
    t.equal(await tracking.checkConditions(), 'everything');
    t.match(tracking.status['failed-conditions'], [/cannot be told.*ENOENT/]);
    writeCounters(fake.proc, 0);
    t.equal(await tracking.checkConditions(), 'written-or-unmapped');
    closeSync(openSync(fake.image.path, 'r+'));
    t.equal(await tracking.checkConditions(), 'everything');
    t.match(tracking.status['failed-conditions'], [/was opened, written by a call or punched/]);
    const said = { ...guestOf(fake), reasons: async () => ['it has a balloon'] };
    await tracking.startAttempt(said);
    tracking.roundEnded(1, 'everything', []);
    t.same(tracking.status['failed-conditions'], ['it has a balloon']);
    t.equal(tracking.finalScope, 'everything');
  },
);

void t.test('what the guest has said since the clear counts to the end of the attempt', async (t) => {
  t.plan(5);
  const fake = makeProc(t);
  const { tracking } = trackingOf(fake, NO_FINAL_SCAN);
  let reasons = ['it had a device'];
  const guest = { ...guestOf(fake), reasons: async () => reasons };
  await tracking.startAttempt(guest);
  tracking.roundEnded(0, 'everything', []);
  reasons = ['it has a balloon'];
  t.equal(await tracking.checkConditions(), 'everything');
  t.same(tracking.status['failed-conditions'], ['it had a device', 'it has a balloon']);
  reasons = [];
  await tracking.checkConditions();
  t.same(tracking.status['failed-conditions'], ['it had a device', 'it has a balloon']);
  await tracking.startAttempt(guest);
  tracking.roundEnded(1, 'everything', []);
  t.equal(await tracking.checkConditions(), 'written-or-unmapped', 'another attempt clears anew');
  t.same(tracking.status['failed-conditions'], []);
});

void t.test('a guest that does not answer at the clear has proven nothing', async (t) => {
  t.plan(2);
  const fake = makeProc(t);
  const { tracking } = trackingOf(fake, NO_FINAL_SCAN);
  let isAnswering = false;
  await tracking.startAttempt({
    ...guestOf(fake),
    reasons: async () => {
      if (!isAnswering) throw new Error('the monitor stalls');
      return [];
    },
  });
  isAnswering = true;
  tracking.roundEnded(0, 'everything', []);
  t.equal(await tracking.checkConditions(), 'everything');
  t.match(tracking.status['failed-conditions'], [/cannot be told: the monitor stalls/]);
});

void t.test('a process that maps the image after its writers were found is not watched', async (t) => {
  t.plan(3);
  const fake = makeProc(t);
  const { tracking } = trackingOf(fake, NO_FINAL_SCAN);
  const folder = join(fake.proc, String(GUEST_PID));
  const late = join(fake.proc, String(GUEST_PID + 1));
  const { path, device, inode, sizeBytes, fd } = fake.image;
  let askedSinceClear = 0;
  const image = {
    path,
    device,
    inode,
    sizeBytes,
    // Asked for by the look for writers, then by the watch, after which the conditions are judged.
    get fd() {
      if (cleared(fake) === '4') askedSinceClear += 1;
      if (askedSinceClear === 2) cpSync(folder, late, { recursive: true });
      return fd;
    },
  };
  await tracking.startAttempt({ ...guestOf(fake), images: [image] });
  t.match(tracking.status['failed-conditions'], [/others than those whose bits are read/]);
  tracking.roundEnded(0, 'everything', []);
  t.equal(await tracking.checkConditions(), 'everything');
  rmSync(late, { recursive: true });
  t.equal(await tracking.checkConditions(), 'everything', 'what it wrote is not known when it has ended');
});

void t.test('what keeps the bits from being used is said once, and everything is scanned', async (t) => {
  const rows: readonly (readonly [what: string, FakeProc, (fake: FakeProc) => unknown, RegExp])[] = [
    ['no bits', makeProc(t, { hasBits: false }), () => undefined, /CONFIG_MEM_SOFT_DIRTY/],
    [
      'nobody maps it',
      makeProc(t),
      ({ proc }) => writeFileSync(join(proc, String(GUEST_PID), 'maps'), ''),
      /no process maps .*guest\.ram/,
    ],
    [
      'taken',
      makeProc(t),
      (fake) => trackingOf(fake, SOFT_DIRTY).tracking.prepare([fake.image]),
      /another migration tracks process 4711/,
    ],
  ];
  t.plan(rows.length * 4);
  for (const [what, fake, change, because] of rows) {
    await change(fake);
    const { tracking, warnings } = trackingOf(fake, NO_FINAL_SCAN);
    await tracking.prepare([fake.image]);
    await tracking.startAttempt(guestOf(fake));
    tracking.roundEnded(0, 'everything', []);
    t.match(warnings, [{ name: 'soft-dirty-unavailable', detail: because }], what);
    t.equal(warnings.length, 1, what);
    t.equal(tracking.scope, 'everything', what);
    t.match(tracking.status, { requested: 'soft-dirty', type: 'scan', reason: because, 'final-scan': true });
  }
});

void t.test('a pulse that comes late does not clear what a newer attempt counts on', async (t) => {
  t.plan(3);
  const fake = makeProc(t);
  const { tracking } = trackingOf(fake, SOFT_DIRTY);
  const gate = new EventEmitter();
  const arrived = once(gate, 'arrived');
  const late = tracking.startAttempt(
    guestOf(fake, async (work) => {
      const goesOn = once(gate, 'go on');
      gate.emit('arrived');
      await goesOn;
      await work();
    }),
  );
  await arrived;
  await tracking.startAttempt(guestOf(fake));
  tracking.roundEnded(0, 'everything', []);
  t.equal(tracking.scope, 'written');
  writeFileSync(join(fake.proc, String(GUEST_PID), 'clear_refs'), 'untouched');
  gate.emit('go on');
  await late;
  t.equal(cleared(fake), 'untouched');
  t.equal(tracking.scope, 'written', 'nor is it taken for the newer one');
});

void t.test(
  'released while an attempt is being started, nothing is held when that comes to its end',
  async (t) => {
    const moments = ['writers are looked for', 'the guest is stopped', 'the guest is asked'] as const;
    t.plan(moments.length * 2);
    for (const moment of moments) {
      const fake = makeProc(t);
      const { tracking } = trackingOf(fake, NO_FINAL_SCAN);
      const before = watchCount();
      const releaseAt = (now: (typeof moments)[number]): void => {
        if (now === moment) tracking.release();
      };
      const late = tracking.startAttempt({
        images: [fake.image],
        reasons: async () => {
          releaseAt('the guest is asked');
          return [];
        },
        pulse: async (work) => {
          await work();
          releaseAt('the guest is stopped');
        },
      });
      releaseAt('writers are looked for');
      await late;
      t.equal(watchCount(), before, `${moment}: no watch`);
      const next = trackingOf(fake, NO_FINAL_SCAN);
      await next.tracking.prepare([fake.image]);
      t.same(next.warnings, [], `${moment}: no lock`);
    }
  },
);

void t.test('what an attempt finds after its end is not said of the next one', async (t) => {
  t.plan(2);
  const fake = makeProc(t);
  const { tracking } = trackingOf(fake, NO_FINAL_SCAN);
  const gate = new EventEmitter();
  const arrived = once(gate, 'arrived');
  const late = tracking.startAttempt({
    ...guestOf(fake),
    reasons: async () => {
      const goesOn = once(gate, 'go on');
      gate.emit('arrived');
      await goesOn;
      return ['it had a balloon'];
    },
  });
  await arrived;
  await tracking.startAttempt(guestOf(fake));
  gate.emit('go on');
  await late;
  t.same(tracking.status['failed-conditions'], []);
  t.equal(tracking.status.clears, 2);
});

/** Watches of inotify that this process has. */
function watchCount(): number {
  return readdirSync('/proc/self/fd').filter((fd) => isWatch(`/proc/self/fd/${fd}`)).length;
}

function isWatch(path: string): boolean {
  try {
    return readlinkSync(path).includes('inotify');
  } catch {
    // The descriptor of the folder that is being read.
    return false;
  }
}
