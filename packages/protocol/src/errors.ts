/**
 * The one error of this package. A fault is a code and its facts as fields, so that logs, answers and tests never parse
 * a text; the sentence is made from the fault, here and nowhere else.
 *
 * Every fault is the peer's (or the network's) doing. What this side does wrong is an assertion, not a ProtocolError.
 */
export type ProtocolFault =
  /** Fewer bytes than the layout of `what` needs. */
  | {
      readonly code: 'truncated';
      readonly what: string;
      readonly neededBytes: number;
      readonly availableBytes: number;
    }
  /** Bytes left over behind a complete `what`. */
  | { readonly code: 'trailing-bytes'; readonly what: string; readonly trailingBytes: number }
  /** The first four bytes of a connection are not Pageferry's. */
  | { readonly code: 'bad-magic' }
  | { readonly code: 'unsupported-preamble-version'; readonly version: number }
  | { readonly code: 'unknown-connection-kind'; readonly kind: number }
  | { readonly code: 'zero-session-id' }
  /** A reserved field of `what` is not zero. */
  | { readonly code: 'reserved-not-zero'; readonly what: string }
  | { readonly code: 'unknown-frame-type'; readonly type: number }
  /** A known type, on a connection or in a state that does not take it. */
  | { readonly code: 'frame-not-allowed'; readonly type: number }
  | {
      readonly code: 'payload-too-short';
      readonly type: number;
      readonly lengthBytes: number;
      readonly leastBytes: number;
    }
  | {
      readonly code: 'payload-too-long';
      readonly type: number;
      readonly lengthBytes: number;
      readonly limitBytes: number;
    }
  | { readonly code: 'zero-epoch' }
  /** A frame of an earlier attempt: refused, whatever it holds. */
  | { readonly code: 'stale-epoch'; readonly epoch: number; readonly currentEpoch: number }
  /** A frame of an epoch that nobody announced. */
  | { readonly code: 'future-epoch'; readonly epoch: number; readonly currentEpoch: number }
  | { readonly code: 'unknown-record-kind'; readonly kind: number; readonly recordIndex: number }
  /** A number that is in its field but not in its range; `limit` is the first value that is too large. */
  | { readonly code: 'out-of-range'; readonly what: string; readonly value: number; readonly limit: number }
  /** A count or a length that must be at least 1. */
  | { readonly code: 'zero-count'; readonly what: string }
  /** Not the number that the state of the connection calls for. */
  | {
      readonly code: 'unexpected-value';
      readonly what: string;
      readonly value: number;
      readonly expected: number;
    }
  /** The bytes of a control message are not the plain subset of msgpack. */
  | { readonly code: 'malformed-message'; readonly reason: string; readonly offsetBytes: number }
  /** Well-formed msgpack that is no message of this direction; one line per issue, each with its path. */
  | { readonly code: 'invalid-message'; readonly issues: readonly string[] }
  | {
      readonly code: 'no-common-version';
      readonly offered: readonly number[];
      readonly supported: readonly number[];
    }
  | { readonly code: 'version-not-offered'; readonly chosen: number; readonly offered: readonly number[] }
  /** A keyed proof does not match: wrong key, session, epoch or stream. */
  | { readonly code: 'wrong-proof'; readonly what: string };

/** Thrown by every decoder and check of this package. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly fault: ProtocolFault;

  constructor(fault: ProtocolFault, options?: ErrorOptions) {
    super(describe(fault), options);
    this.fault = fault;
  }
}

function describe(fault: ProtocolFault): string {
  switch (fault.code) {
    case 'truncated':
      return `${fault.what} needs ${fault.neededBytes} bytes, ${fault.availableBytes} are there`;
    case 'trailing-bytes':
      return `${fault.what} is followed by ${fault.trailingBytes} bytes that belong to nothing`;
    case 'bad-magic':
      return 'the connection does not begin with the magic bytes of Pageferry';
    case 'unsupported-preamble-version':
      return `preamble version ${fault.version} is not known here`;
    case 'unknown-connection-kind':
      return `connection kind ${fault.kind} is not known`;
    case 'zero-session-id':
      return 'the session id is all zero';
    case 'reserved-not-zero':
      return `a reserved field of the ${fault.what} is not zero`;
    case 'unknown-frame-type':
      return `frame type ${fault.type} is not known`;
    case 'frame-not-allowed':
      return `frame type ${fault.type} is not allowed on this connection now`;
    case 'payload-too-short':
      return `the payload of frame type ${fault.type} is ${fault.lengthBytes} bytes, at least ${fault.leastBytes} are needed`;
    case 'payload-too-long':
      return `the payload of frame type ${fault.type} is ${fault.lengthBytes} bytes, the limit is ${fault.limitBytes}`;
    case 'zero-epoch':
      return 'the epoch is zero';
    case 'stale-epoch':
      return `the frame belongs to epoch ${fault.epoch}, the current one is ${fault.currentEpoch}`;
    case 'future-epoch':
      return `the frame belongs to epoch ${fault.epoch}, which no hello announced; the current one is ${fault.currentEpoch}`;
    case 'unknown-record-kind':
      return `record ${fault.recordIndex} has the unknown kind ${fault.kind}`;
    case 'out-of-range':
      return `${fault.what} is ${fault.value}, it must be below ${fault.limit}`;
    case 'zero-count':
      return `${fault.what} is zero`;
    case 'unexpected-value':
      return `${fault.what} is ${fault.value}, ${fault.expected} is expected`;
    case 'malformed-message':
      return `control message: ${fault.reason} at byte ${fault.offsetBytes}`;
    case 'invalid-message':
      return `control message: ${fault.issues.join('; ')}`;
    case 'no-common-version':
      return `no common protocol version: offered ${list(fault.offered)}, supported ${list(fault.supported)}`;
    case 'version-not-offered':
      return `protocol version ${fault.chosen} was chosen, offered were ${list(fault.offered)}`;
    case 'wrong-proof':
      return `the proof in the ${fault.what} does not match`;
  }
}

function list(versions: readonly number[]): string {
  return `[${versions.join(', ')}]`;
}
