/**
 * Either daemon killed in each step of the handover of a real guest: before the commit the guest goes on at the source,
 * after it at the destination, in one QEMU, and the next migration succeeds.
 */
import t from 'tap';
import type { Hold, MessageName } from '../../src/hold.ts';
import { completes, isWhole, movesNow, startQemuRig } from '../../src/qemu/outcomes.ts';
import type { QemuRig } from '../../src/qemu/qemu-rig.ts';

type Side = 'source' | 'destination';

/** A step, by the message or the command of a monitor that is on its way. */
interface Step {
  readonly name: string;
  readonly hold: (rig: QemuRig) => Hold;
  /** Whose monitor it is; a message is between both. */
  readonly at: Side | 'between';
  readonly isCommitted: boolean;
}

const message = (name: MessageName, isCommitted: boolean): Step => ({
  name: `the message ${name}`,
  hold: (rig) => rig.proxy.hold(name),
  at: 'between',
  isCommitted,
});
const atSource = (command: string): Step => ({
  name: `the command ${command} at the source`,
  hold: (rig) => rig.holdCommand(rig.place, command),
  at: 'source',
  isCommitted: false,
});
const atDestination = (command: string, isCommitted: boolean): Step => ({
  name: `the command ${command} at the destination`,
  hold: (rig) => rig.holdCommand(rig.other, command),
  at: 'destination',
  isCommitted,
});

const rows: readonly (readonly [step: Step, killed: readonly Side[]])[] = [
  [atSource('stop'), ['source']],
  [atSource('migrate'), ['source']],
  [atSource('migrate'), ['destination']],
  [message('handover', false), ['destination']],
  [atDestination('migrate-incoming', false), ['source']],
  [atDestination('migrate-incoming', false), ['destination']],
  [message('ready', false), ['source']],
  [message('ready', false), ['destination']],
  [message('ready', false), ['source', 'destination']],
  [message('commit', true), ['source']],
  [message('commit', true), ['destination']],
  [atDestination('cont', true), ['source']],
  [atDestination('cont', true), ['destination']],
  [message('running', true), ['source']],
  [message('running', true), ['destination']],
  [message('running', true), ['source', 'destination']],
];

void t.test('daemons killed in the handover', async (t) => {
  const rig = await startQemuRig(t);
  for (const [step, killed] of rows) {
    await t.test(`${killed.join(' and ')}, at ${step.name}`, async (t) => {
      const hold = step.hold(rig);
      await rig.migrate();
      await rig.reach(hold);
      await Promise.all(killed.map((side) => rig[side].kill()));
      // What a dead daemon had on its way is lost; what a living one has goes on.
      if (step.at === 'between' || killed.includes(step.at)) hold.discard();
      else hold.release();
      for (const side of killed.toReversed()) await rig[side].start();
      if (step.isCommitted) {
        await completes(t, rig);
      } else {
        t.not((await rig.source.api.untilOver()).status, 'completed', 'it came to nothing');
        await isWhole(t, rig);
      }
      await movesNow(t, rig);
    });
  }
});
