/** What befalls a migration of a real guest: QEMUs killed at a command of their monitor, and destinations that do not fit. */
import { RefusedError, signalIfThere, untilGone } from '@pageferry/scripts/harness';
import type { IncomingRequest } from '@pageferry/scripts/harness';
import type { Test } from 'tap';
import type { QemuRig } from './qemu-rig.ts';

type QemuGuest = Extract<IncomingRequest['guest'], { type: 'qemu' }>;

/** The guest of POST /incoming for the other place, by another of the configuration's commands. */
export function destinationGuest(rig: QemuRig, command: string): QemuGuest {
  return { type: 'qemu', qmp: rig.pair.monitor(rig.other).user, command: `${command}-${rig.other}` };
}

/**
 * Starts a migration and kills the QEMU at the other place between a command and its answer: the command is given to a
 * QEMU that stands still, so it was given and is not carried out.
 */
export async function killQemuAt(rig: QemuRig, command: string): Promise<void> {
  const hold = rig.holdCommand(rig.other, command);
  await rig.migrate();
  await rig.reach(hold);
  signalQemu(rig, 'SIGSTOP');
  hold.release();
  await rig.passed(command);
  await killQemu(rig);
}

/** Ends the QEMU at the other place without warning. */
export async function killQemu(rig: QemuRig): Promise<void> {
  const pids = rig.pair.qemuPids(rig.other);
  signalQemu(rig, 'SIGKILL');
  for (const pid of pids) await untilGone(pid);
}

/** To the QEMU at the other place. */
export function signalQemu(rig: QemuRig, signal: NodeJS.Signals): void {
  for (const pid of rig.pair.qemuPids(rig.other)) signalIfThere(pid, signal);
}

/** A migration is refused, for that reason, while the guest runs on and nothing was written anywhere. */
export async function refusesBeforeItMoves(
  t: Test,
  rig: QemuRig,
  incoming: Partial<IncomingRequest>,
  reason: RegExp,
): Promise<void> {
  const before = rig.lastNumber;
  const refusal: unknown = await rig.migrate({}, incoming).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(refusal instanceof RefusedError)) {
    t.fail(`it was not refused: ${String(refusal)}`);
    return;
  }
  t.match(refusal.problem.detail, reason, `refused: ${refusal.message}`);
  t.equal((await rig.destination.api.status()).pageferry.coverage, 0, 'nothing has moved');
  t.ok(rig.lastNumber >= before, 'the guest prints on');
  await rig.destination.api.abort();
  await rig.untilOtherIsGone();
}
