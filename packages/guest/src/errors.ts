// The one error class of this package. A fault is a code and its facts as fields, so that a daemon can choose the
// problem type without reading prose; the message is for people.

/** What went wrong, with its facts. `pid` is the guest's process id as this daemon sees it. */
export type GuestFault =
  | { readonly code: 'no-such-process'; readonly pid: number }
  | { readonly code: 'recycled'; readonly pid: number }
  | { readonly code: 'ended'; readonly pid: number }
  | { readonly code: 'not-permitted'; readonly pid: number; readonly signal: string }
  | { readonly code: 'pause-timeout'; readonly pid: number; readonly timeoutMs: number }
  | { readonly code: 'kill-timeout'; readonly pid: number; readonly timeoutMs: number }
  | { readonly code: 'start-timeout'; readonly pid: number; readonly timeoutMs: number }
  | { readonly code: 'command-unknown'; readonly command: string; readonly known: readonly string[] }
  | { readonly code: 'prepare-failed'; readonly reason: string }
  | { readonly code: 'not-prepared' }
  | { readonly code: 'device-state-refused' }
  | { readonly code: 'kind-unsupported'; readonly kind: string }
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
    case 'kind-unsupported':
      return `guests of kind ${fault.kind} are not supported`;
    case 'identity-invalid':
      return `this is not the identity of a guest: ${fault.reason}`;
  }
}
