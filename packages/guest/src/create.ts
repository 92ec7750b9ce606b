// Makes guests: of what the API said, or of what a journal remembers. The only file that knows every kind.
import { performance } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import { GuestError } from './errors.ts';
import type { Clock, Guest, GuestHost, GuestSpec, IncomingGuest } from './guest.ts';
import type { IncomingGuestSpec, ProcessIdentity } from './guest.ts';
import { parseGuestIdentity, parseIncomingGuestIdentity } from './identity.ts';
import { NoGuest, NoIncomingGuest } from './none.ts';
import { PreparedProcess } from './prepared-process.ts';
import { IncomingProcessGuest } from './process-launcher.ts';
import { hostProcesses } from './process-state.ts';
import { ProcessGuest } from './process.ts';

const hostClock: Clock = {
  now: () => performance.now(),
  wait: async (milliseconds) => {
    await wait(milliseconds);
  },
};

/** The guest of POST /migrate. Throws `no-such-process`; other reasons against it are in `preflight`. */
export async function guestFromSpec(spec: GuestSpec, _host: GuestHost): Promise<Guest> {
  if (spec.type === 'none') return new NoGuest();
  if (spec.type === 'qemu') throw new GuestError({ code: 'kind-unsupported', kind: 'qemu' });
  const identity = hostProcesses.identityOf(spec.pid);
  if (identity === null) throw new GuestError({ code: 'no-such-process', pid: spec.pid });
  return processGuest(identity);
}

/** The guest that a journal names, for recovery. Throws `identity-invalid`; that it has ended shows in its methods. */
export function guestFromIdentity(identity: unknown, _host: GuestHost): Guest {
  const parsed = parseGuestIdentity(identity);
  if (parsed.type === 'qemu') throw new GuestError({ code: 'kind-unsupported', kind: 'qemu' });
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
  _host: GuestHost,
): IncomingGuest {
  if (spec.type === 'none') return new NoIncomingGuest();
  if (spec.type === 'qemu') throw new GuestError({ code: 'kind-unsupported', kind: 'qemu' });
  const command = Object.hasOwn(commands, spec.command) ? commands[spec.command] : undefined;
  if (command === undefined) {
    const known = Object.keys(commands);
    throw new GuestError({ code: 'command-unknown', command: spec.command, known });
  }
  return new IncomingProcessGuest(command, directory, hostProcesses, hostClock);
}

/** The prepared guest that a journal names: `resume` and `destroy` work on it. Throws `identity-invalid`. */
export function incomingGuestFromIdentity(identity: unknown, _host: GuestHost): IncomingGuest {
  const parsed = parseIncomingGuestIdentity(identity);
  if (parsed.type === 'qemu') throw new GuestError({ code: 'kind-unsupported', kind: 'qemu' });
  return parsed.type === 'none'
    ? new NoIncomingGuest()
    : new PreparedProcess(parsed, hostProcesses, hostClock);
}

function processGuest({ pid, startTime, bootId }: ProcessIdentity): Guest {
  return new ProcessGuest({ pid, startTime, bootId }, hostProcesses, hostClock);
}
