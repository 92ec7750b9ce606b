// The package's one error. `impossible-event` is an assertion: the daemon delivered what cannot happen, and ends.
// The peer's faults (`isPeerFault`) leave the state as it was; the daemon makes them a failure of the migration.

/** What went wrong, with its facts. */
export type HandoverFault =
  /** The daemon's own mistake: `event` cannot happen in `state`. */
  | { readonly code: 'impossible-event'; readonly state: string; readonly event: string }
  /** The peer's message makes no sense in `state`. */
  | { readonly code: 'unexpected-message'; readonly state: string; readonly message: string }
  /** A message of a newer epoch than the one that is being handed over, or a new epoch that is not newer. */
  | {
      readonly code: 'wrong-epoch';
      readonly state: string;
      readonly expected: number;
      readonly actual: number;
    }
  /** A newer epoch came, but the source's journal does not record this one as aborted. */
  | { readonly code: 'epoch-not-aborted'; readonly epoch: number; readonly abortedEpoch: number | null }
  /** Another process (daemon or guard) holds the journal. */
  | { readonly code: 'journal-locked'; readonly path: string }
  /** A slot is intact but not understood: written by another version, or not by us. Never skipped. */
  | { readonly code: 'journal-unreadable'; readonly path: string; readonly detail: string }
  | {
      readonly code: 'record-too-large';
      readonly lengthBytes: number;
      readonly limitBytes: number;
      readonly what: string;
    }
  | { readonly code: 'guard-lost'; readonly detail: string };

/** @see HandoverFault */
export class HandoverError extends Error {
  override readonly name = 'HandoverError';
  readonly fault: HandoverFault;

  constructor(fault: HandoverFault, options?: ErrorOptions) {
    super(describe(fault), options);
    this.fault = fault;
  }

  /** The peer broke the protocol: state unchanged, a failure for the caller to report. */
  get isPeerFault(): boolean {
    const { code } = this.fault;
    return code === 'unexpected-message' || code === 'wrong-epoch' || code === 'epoch-not-aborted';
  }
}

function describe(fault: HandoverFault): string {
  switch (fault.code) {
    case 'impossible-event':
      return `event ${fault.event} is impossible in state ${fault.state}`;
    case 'unexpected-message':
      return `message ${fault.message} is not expected in state ${fault.state}`;
    case 'wrong-epoch':
      return `state ${fault.state} is in epoch ${fault.expected}, the peer speaks of epoch ${fault.actual}`;
    case 'epoch-not-aborted':
      return `a newer epoch came, but epoch ${fault.epoch} is not recorded as aborted at the source (newest: ${fault.abortedEpoch ?? 'none'})`;
    case 'journal-locked':
      return `another process holds the journal ${fault.path}`;
    case 'journal-unreadable':
      return `the journal ${fault.path} holds a record that is not understood: ${fault.detail}`;
    case 'record-too-large':
      return `${fault.what} takes ${fault.lengthBytes} bytes in the journal, the limit is ${fault.limitBytes}`;
    case 'guard-lost':
      return `the guard process is lost: ${fault.detail}`;
  }
}
