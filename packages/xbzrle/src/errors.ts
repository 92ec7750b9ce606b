// What can go wrong in the page kernel. Payload faults are the peer's doing; the others are ours.

/** Why an XBZRLE payload is malformed. */
export type PayloadFault =
  | 'empty'
  | 'longer-than-page'
  | 'truncated'
  | 'count-too-long'
  | 'count-not-minimal'
  | 'unchanged-run-empty'
  | 'changed-run-empty'
  | 'past-page-end';

export type XbzrleFault =
  /** A payload that no encoder makes; `offset` is the byte in the payload where it shows. */
  | { readonly code: 'malformed-payload'; readonly reason: PayloadFault; readonly offset: number }
  /** Not a power of two, smaller than a page, or more than the kernel can address. */
  | { readonly code: 'cache-size'; readonly bytes: number }
  /** The kernel's file is missing, or was built from other sources than this code. */
  | { readonly code: 'kernel-missing' }
  | {
      readonly code: 'kernel-mismatch';
      readonly name: string;
      readonly kernel: number;
      readonly expected: number;
    };

/** The one error class of this package; `fault` says what happened. */
export class XbzrleError extends Error {
  readonly fault: XbzrleFault;

  constructor(fault: XbzrleFault, options?: ErrorOptions) {
    super(describe(fault), options);
    this.name = 'XbzrleError';
    this.fault = fault;
  }
}

function describe(fault: XbzrleFault): string {
  switch (fault.code) {
    case 'malformed-payload':
      return `malformed XBZRLE payload: ${fault.reason} at byte ${fault.offset}`;
    case 'cache-size':
      return `${fault.bytes} is not a possible cache size: a power of two from 4096 to 2 GiB, or 0`;
    case 'kernel-missing':
      return 'the page kernel cannot be loaded: build it first';
    case 'kernel-mismatch':
      return `the page kernel has ${fault.name} = ${fault.kernel}, expected ${fault.expected}: rebuild it`;
  }
}
