// Makes guests: of what the API said, or of what a journal remembers. The only file that knows every kind.
import { performance } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import { GuestError } from './errors.ts';
import type { Clock, Guest, GuestHost, GuestSpec, IncomingGuest } from './guest.ts';
import type { IncomingGuestSpec, ProcessIdentity } from './guest.ts';
import { parseGuestIdentity, parseIncomingGuestIdentity, parseLaunched } from './identity.ts';
import { endLaunched } from './launched-command.ts';
import { Monitors } from './monitors.ts';
import { NoGuest, NoIncomingGuest } from './none.ts';
import { PreparedProcess } from './prepared-process.ts';
import { IncomingProcessGuest } from './process-launcher.ts';
import { hostProcesses } from './process-state.ts';
import { ProcessGuest } from './process.ts';
import { PreparedQemu } from './prepared-qemu.ts';
import { connectQemuGuest, QemuGuest } from './qemu-guest.ts';
import { IncomingQemuGuest } from './qemu-incoming.ts';
import type { QemuContext } from './qemu-process.ts';
import { SaveRecords } from './save-record.ts';

const hostClock: Clock = {
  now: () => performance.now(),
  wait: async (milliseconds) => {
    await wait(milliseconds);
  },
};

/** Objects made for the same host share the connections to monitors, and what was done to a QEMU. */
const contexts = new WeakMap<GuestHost, QemuContext>();

function qemuContext(host: GuestHost): QemuContext {
  const known = contexts.get(host);
  if (known !== undefined) return known;
  const [monitors, saves] = [new Monitors(host), new SaveRecords()];
  const made = { host, monitors, saves, processes: hostProcesses, clock: hostClock };
  contexts.set(host, made);
  return made;
}

/** The guest of POST /migrate. Throws `no-such-process`, or why a monitor does not serve us; other reasons against it are in `preflight`. */
export async function guestFromSpec(spec: GuestSpec, host: GuestHost): Promise<Guest> {
  if (spec.type === 'none') return new NoGuest();
  if (spec.type === 'qemu') return connectQemuGuest(spec.qmp, qemuContext(host));
  const identity = hostProcesses.identityOf(spec.pid);
  if (identity === null) throw new GuestError({ code: 'no-such-process', pid: spec.pid });
  return processGuest(identity);
}

/** The guest that a journal names, for recovery. Throws `identity-invalid`; that it has ended shows in its methods. */
export function guestFromIdentity(identity: unknown, host: GuestHost): Guest {
  const parsed = parseGuestIdentity(identity);
  if (parsed.type === 'qemu') return new QemuGuest(parsed, qemuContext(host));
  return parsed.type === 'none' ? new NoGuest() : processGuest(parsed);
}

/**
 * The guest of POST /incoming. `commands` is the configuration's, program and arguments by name; `directory` takes
 * record and log of the guest (the daemon's state directory). Throws `command-unknown`.
 */
export function incomingGuest(
  spec: IncomingGuestSpec,
  commands: Readonly<Record<string, readonly string[]>>,
  directory: string,
  host: GuestHost,
): IncomingGuest {
  if (spec.type === 'none') return new NoIncomingGuest();
  if (spec.type === 'process')
    return new IncomingProcessGuest(
      namedCommand(spec.command, commands),
      directory,
      hostProcesses,
      hostClock,
    );
  const command = spec.command === undefined ? null : namedCommand(spec.command, commands);
  return new IncomingQemuGuest({ qmp: spec.qmp, command, directory }, qemuContext(host));
}

/** The prepared guest that a journal names: `resume` and `destroy` work on it. Throws `identity-invalid`. */
export function incomingGuestFromIdentity(identity: unknown, host: GuestHost): IncomingGuest {
  const parsed = parseIncomingGuestIdentity(identity);
  if (parsed.type === 'qemu') return new PreparedQemu(parsed, qemuContext(host));
  return parsed.type === 'none'
    ? new NoIncomingGuest()
    : new PreparedProcess(parsed, hostProcesses, hostClock);
}

/** Ends the command that `IncomingGuest.open` told of and whose guest never answered. Throws `identity-invalid`. */
export function endLaunchedCommand(identity: unknown): void {
  endLaunched(parseLaunched(identity), hostProcesses);
}

function namedCommand(
  name: string,
  commands: Readonly<Record<string, readonly string[]>>,
): readonly string[] {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command !== undefined) return command;
  throw new GuestError({ code: 'command-unknown', command: name, known: Object.keys(commands) });
}

function processGuest({ pid, startTime, bootId }: ProcessIdentity): Guest {
  return new ProcessGuest({ pid, startTime, bootId }, hostProcesses, hostClock);
}
