/**
 * The one table from the faults of all packages to the problems that callers read.
 *
 * Packages throw errors with a `fault`; a daemon turns whatever ends a request or a migration into a problem here,
 * with the phase and the side. What no table row names is `internal`.
 */
import { GuestError } from '@pageferry/guest';
import { HandoverError } from '@pageferry/handover';
import { MemoryError } from '@pageferry/memory';
import {
  describeProblem,
  ProblemError,
  ProtocolError,
  type ProblemDetails,
  type ProblemExtras,
  type ProblemName,
  type Side,
  type WireProblem,
} from '@pageferry/protocol';
import { TransportError } from '@pageferry/transport';

const LIMITS_HINT =
  'Look at the limits of the daemon: open files, processes, memory (ulimit, systemd Limit…=).';

type Named = { readonly name: ProblemName; readonly hint?: string };

/** The problem of anything that was thrown. `extras` are added where the error does not say better itself. */
export function problemOf(error: unknown, extras: ProblemExtras = {}): ProblemDetails {
  if (error instanceof ProblemError) return { ...extras, ...error.problem };
  const detail = error instanceof Error ? error.message : String(error);
  const { name, hint } = nameOf(error);
  return describeProblem(name, detail, hint === undefined ? extras : { ...extras, hint });
}

/** The same as an error, with what was thrown as its cause. */
export function problemError(error: unknown, extras: ProblemExtras = {}): ProblemError {
  if (error instanceof ProblemError) return error;
  const { title: _title, type: _type, status: _status, detail, ...rest } = problemOf(error, extras);
  return new ProblemError(nameOf(error).name, detail, { ...rest, cause: error });
}

/** A problem as it travels to the peer. */
export function toWire(problem: ProblemDetails, side: Side): WireProblem {
  const { type, title, detail, phase, retryable, hint } = problem;
  const peer = problem.peer ?? side;
  return {
    type,
    title,
    detail,
    peer,
    retryable,
    ...(phase === undefined ? {} : { phase }),
    ...(hint === undefined ? {} : { hint }),
  };
}

function nameOf(error: unknown): Named {
  if (error instanceof MemoryError) return memoryProblem(error);
  if (error instanceof TransportError) return transportProblem(error);
  if (error instanceof GuestError) return guestProblem(error);
  if (error instanceof ProtocolError) {
    return { name: error.fault.code === 'no-common-version' ? 'version-mismatch' : 'protocol-violation' };
  }
  if (error instanceof HandoverError)
    return { name: error.isPeerFault ? 'protocol-violation' : 'journal-failed' };
  return isOutOfSomething(error) ? { name: 'internal', hint: LIMITS_HINT } : { name: 'internal' };
}

/** A system call that failed for want of descriptors, processes or memory, whoever made it. */
function isOutOfSomething(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EMFILE' || code === 'ENFILE' || code === 'EAGAIN' || code === 'ENOMEM';
}

function memoryProblem({ fault }: MemoryError): Named {
  switch (fault.code) {
    case 'missing':
      return {
        name: 'image-missing',
        hint: 'Check the path.',
      };
    case 'no-directory':
      return { name: 'image-missing', hint: 'Make the directory; only the file itself is made.' };
    case 'replaced':
      return {
        name: 'image-missing',
        hint: 'Nothing may rename or replace an image while its guest is moved.',
      };
    case 'not-a-file':
      return {
        name: 'image-not-a-file',
        hint: 'Guest memory must be a regular file, on tmpfs for instance.',
      };
    case 'outside-root':
      return {
        name: 'image-outside-root',
        hint: 'Move the image, or start the daemon with another --image-root.',
      };
    case 'invalid-size':
    case 'wrong-size':
      return {
        name: 'image-size',
        hint: 'Both sides need an image of the same size, a multiple of 4096 bytes.',
      };
    case 'truncated':
      return { name: 'image-truncated', hint: 'Nothing may resize an image while its guest is moved.' };
    case 'locked':
      return {
        name: 'image-locked',
        hint: 'Another daemon or an engine that is just ending holds it; try again.',
      };
    case 'outside-block':
    case 'outside-shard':
      return { name: 'protocol-violation' };
    case 'io':
      return ioProblem(fault.errno);
  }
}

function ioProblem(errno: string): Named {
  switch (errno) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return { name: 'image-permission' };
    case 'ENOSPC':
    case 'EDQUOT':
      return { name: 'image-io', hint: 'Make room on the file system of the image, then migrate again.' };
    case 'EMFILE':
    case 'ENFILE':
      return { name: 'image-io', hint: LIMITS_HINT };
    default:
      return { name: 'image-io' };
  }
}

function transportProblem({ fault }: TransportError): Named {
  switch (fault.code) {
    case 'CONNECT_FAILED':
      return {
        name: 'peer-unreachable',
        hint: 'Is the destination armed (POST /incoming) and the address right?',
      };
    case 'LISTEN_FAILED':
      return fault.errno === 'EADDRINUSE'
        ? { name: 'port-in-use', hint: 'Choose another port, or port 0 for any free one.' }
        : { name: 'listen-failed' };
    case 'LINK_LOST':
      return { name: 'link-lost' };
    case 'TIMED_OUT':
      return { name: 'peer-timeout' };
    case 'ENGINE_ENDED':
      return {
        name: 'engine-died',
        hint: 'The log of the daemon has what the engine printed; dmesg tells of the OOM killer.',
      };
    case 'ENGINE_NOT_STARTED':
      return { name: 'engine-died', hint: LIMITS_HINT };
    case 'ENGINE_FAILED':
      return { name: 'engine-died', hint: LIMITS_HINT };
    case 'SYSTEM_CALL':
      return { name: 'internal' };
  }
}

function guestProblem({ fault }: GuestError): Named {
  switch (fault.code) {
    case 'command-unknown':
      return {
        name: 'guest-command-unknown',
        hint: 'Commands come from the configuration (guest-commands), never from the API.',
      };
    case 'no-such-process':
    case 'recycled':
    case 'ended':
    case 'not-permitted':
    case 'blocked':
      return { name: 'guest-unavailable' };
    case 'monitor-unreachable':
      return {
        name: 'guest-unavailable',
        hint: 'Start QEMU with -qmp unix:PATH,server=on,wait=off, at a path that this daemon may connect to.',
      };
    case 'monitor-busy':
    case 'monitor-foreign':
      return {
        name: 'guest-unavailable',
        hint: 'A monitor serves one client: give QEMU another one for this daemon (a second -qmp).',
      };
    case 'monitor-malformed':
      return {
        name: 'guest-unavailable',
        hint: 'The monitor must speak QMP without pretty=on.',
      };
    case 'monitor-outside-root':
      return {
        name: 'monitor-outside-root',
        hint: 'Move the monitor, or start the daemon with another --qmp-root.',
      };
    case 'monitor-timeout':
      return { name: 'guest-failed', hint: 'QEMU hangs, or its storage does.' };
    case 'launch-failed':
      return {
        name: 'guest-failed',
        hint: 'The command comes from the configuration (guest-commands); its log is in the state directory.',
      };
    case 'device-state-too-large':
      return {
        name: 'guest-failed',
        hint: 'Memory that is not on a shared file moves with the device state: use memory-backend-file,share=on.',
      };
    default:
      return { name: 'guest-failed' };
  }
}
