// The one error class of this package. A fault is a code and its facts as fields, so that a daemon can choose the
// problem type without reading prose; the message is for people.

/** What went wrong, with its facts. `pid` is the guest's process id as this daemon sees it. */
export type GuestFault =
  | { readonly code: 'no-such-process'; readonly pid: number }
  | { readonly code: 'recycled'; readonly pid: number }
  | { readonly code: 'ended'; readonly pid: number }
  | { readonly code: 'not-permitted'; readonly pid: number; readonly signal: string }
  | { readonly code: 'pause-timeout'; readonly pid: number; readonly timeoutMs: number }
  | { readonly code: 'continued'; readonly pid: number }
  | { readonly code: 'kill-timeout'; readonly pid: number; readonly timeoutMs: number }
  | { readonly code: 'start-timeout'; readonly pid: number; readonly timeoutMs: number }
  | { readonly code: 'command-unknown'; readonly command: string; readonly known: readonly string[] }
  | { readonly code: 'prepare-failed'; readonly reason: string }
  | { readonly code: 'not-prepared' }
  | { readonly code: 'device-state-refused' }
  | { readonly code: 'monitor-unreachable'; readonly path: string; readonly errno: string }
  | {
      readonly code: 'monitor-busy';
      readonly path: string;
      /** How long the greeting was awaited; `null` where it does not even let us wait. */
      readonly timeoutMs: number | null;
    }
  | { readonly code: 'monitor-outside-root'; readonly path: string; readonly root: string }
  | { readonly code: 'monitor-foreign'; readonly path: string; readonly pid: number; readonly found: number }
  | { readonly code: 'monitor-malformed'; readonly path: string; readonly found: string }
  | { readonly code: 'monitor-lost'; readonly path: string; readonly command: string | null }
  | {
      readonly code: 'monitor-timeout';
      readonly path: string;
      readonly command: string;
      readonly timeoutMs: number;
    }
  | {
      readonly code: 'command-failed';
      readonly path: string;
      readonly command: string;
      /** QEMU's error class, such as `GenericError`. */
      readonly class: string;
      readonly description: string;
    }
  | { readonly code: 'blocked'; readonly reasons: readonly string[] }
  | { readonly code: 'launch-failed'; readonly reason: string }
  | { readonly code: 'resume-failed'; readonly reason: string }
  | { readonly code: 'device-state-failed'; readonly reason: string }
  | { readonly code: 'device-state-too-large'; readonly limitBytes: number }
  | { readonly code: 'identity-invalid'; readonly reason: string };

/** Thrown for every expected failure of this package; `cause` is the system's error where there was one. */
export class GuestError extends Error {
  override readonly name = 'GuestError';
  readonly fault: GuestFault;

  constructor(fault: GuestFault, options?: ErrorOptions) {
    super(describe(fault), options);
    this.fault = fault;
  }
}

const OWN_MONITOR = 'give the QEMU a monitor of its own for this (-qmp)';

function describe(fault: GuestFault): string {
  switch (fault.code) {
    case 'no-such-process':
      return `there is no process ${fault.pid}`;
    case 'recycled':
      return `process ${fault.pid} is not the guest: the guest ended and its id belongs to another process now`;
    case 'ended':
      return `the guest, process ${fault.pid}, has ended`;
    case 'not-permitted':
      return `no permission to send ${fault.signal} to process ${fault.pid}`;
    case 'pause-timeout':
      return `process ${fault.pid} was told to stop, but not every task of it did within ${fault.timeoutMs} ms`;
    case 'continued':
      return `the guest, process ${fault.pid}, was stopped, and runs again: somebody else continued it`;
    case 'kill-timeout':
      return `process ${fault.pid} was killed, but was still there after ${fault.timeoutMs} ms`;
    case 'start-timeout':
      return `process ${fault.pid} was told to start, but had neither executed its command nor ended after ${fault.timeoutMs} ms`;
    case 'command-unknown':
      return `the configuration has no guest command ${JSON.stringify(fault.command)}; it has: ${fault.known.join(', ') || 'none'}`;
    case 'prepare-failed':
      return `the guest could not be prepared: ${fault.reason}`;
    case 'not-prepared':
      return 'the guest was not prepared yet';
    case 'device-state-refused':
      return 'this kind of guest has no device state, but the source sent some';
    case 'monitor-unreachable':
      return `the monitor ${fault.path} cannot be reached: ${fault.errno}`;
    case 'monitor-busy':
      return fault.timeoutMs === null
        ? `the monitor ${fault.path} is in use, and the queue of those who wait for it is full; ${OWN_MONITOR}`
        : `no greeting from the monitor ${fault.path} within ${fault.timeoutMs} ms: another client is connected to it ` +
            `(libvirt keeps the monitors of its guests), or its QEMU hangs; ${OWN_MONITOR}`;
    case 'monitor-outside-root':
      return `the monitor ${fault.path} is not below ${fault.root}`;
    case 'monitor-foreign':
      return `the monitor ${fault.path} belongs to process ${fault.found} and not to the guest, process ${fault.pid}`;
    case 'monitor-malformed':
      return `what the monitor ${fault.path} says is not QMP by the line (is it an HMP monitor, or is it pretty-printing?): ${fault.found}`;
    case 'monitor-lost':
      return fault.command === null
        ? `the connection to the monitor ${fault.path} was lost`
        : `the connection to the monitor ${fault.path} was lost before it answered ${fault.command}`;
    case 'monitor-timeout':
      return `the monitor ${fault.path} did not answer ${fault.command} within ${fault.timeoutMs} ms`;
    case 'command-failed':
      return `${fault.command} failed (${fault.class}): ${fault.description}`;
    case 'blocked':
      return fault.reasons.join('; ');
    case 'launch-failed':
      return `the guest's QEMU could not be started: ${fault.reason}`;
    case 'resume-failed':
      return `the guest could not be resumed: ${fault.reason}`;
    case 'device-state-failed':
      return `the device state could not be saved: ${fault.reason}`;
    case 'device-state-too-large':
      return `the device state is larger than ${fault.limitBytes} bytes: large memory that is not on a shared file moves with it`;
    case 'identity-invalid':
      return `this is not the identity of a guest: ${fault.reason}`;
  }
}
