/**
 * What stops a daemon from starting its API: configuration, the token file, the address to listen on.
 * Invariant: the message is complete; a daemon prints it and ends, nothing has been changed.
 * What a request runs into is a ProblemError of @pageferry/protocol instead.
 */

export type ManagementFault =
  | { readonly code: 'configuration'; readonly option: string; readonly origin: string }
  | { readonly code: 'token-file'; readonly path: string }
  | { readonly code: 'address'; readonly address: string }
  | { readonly code: 'address-in-use'; readonly address: string }
  | { readonly code: 'listen'; readonly address: string };

export class ManagementError extends Error {
  override readonly name = 'ManagementError';
  readonly fault: ManagementFault;

  constructor(fault: ManagementFault, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.fault = fault;
  }
}
