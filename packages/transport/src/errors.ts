/** Faults of connections, engines and system calls. Facts are fields, so that callers need not parse text. */

export type TransportFault =
  | { readonly code: 'SYSTEM_CALL'; readonly syscall: string; readonly errno: string }
  | { readonly code: 'CONNECT_FAILED'; readonly host: string; readonly port: number; readonly errno: string }
  | { readonly code: 'LISTEN_FAILED'; readonly host: string; readonly port: number; readonly errno: string }
  | { readonly code: 'LINK_LOST'; readonly reason: string }
  | { readonly code: 'TIMED_OUT'; readonly waitingFor: string; readonly milliseconds: number }
  | { readonly code: 'ENGINE_ENDED'; readonly exitCode: number | null; readonly signal: string | null }
  | { readonly code: 'ENGINE_NOT_STARTED'; readonly errno: string }
  /** What an engine reported before it was ended: neither its image nor its connection. */
  | { readonly code: 'ENGINE_FAILED'; readonly reason: string };

function describe(fault: TransportFault): string {
  switch (fault.code) {
    case 'SYSTEM_CALL':
      return `${fault.syscall} failed: ${fault.errno}`;
    case 'CONNECT_FAILED':
      return `no connection to ${fault.host}:${fault.port}: ${fault.errno}`;
    case 'LISTEN_FAILED':
      return `cannot listen on ${fault.host}:${fault.port}: ${fault.errno}`;
    case 'LINK_LOST':
      return `the connection to the peer was lost: ${fault.reason}`;
    case 'TIMED_OUT':
      return `no ${fault.waitingFor} within ${fault.milliseconds} ms`;
    case 'ENGINE_ENDED':
      return fault.signal === null
        ? `the engine ended with exit code ${fault.exitCode}`
        : `the engine was ended by ${fault.signal}`;
    case 'ENGINE_NOT_STARTED':
      return `the engine could not be started: ${fault.errno}`;
    case 'ENGINE_FAILED':
      return `the engine cannot go on: ${fault.reason}`;
  }
}

/** Every error of this package; `fault` says which and carries its facts. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly fault: TransportFault;

  constructor(fault: TransportFault, options?: ErrorOptions) {
    super(describe(fault), options);
    this.fault = fault;
  }
}
