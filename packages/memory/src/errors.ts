// Everything that can go wrong with a guest's RAM, as one class with a union of faults.
// Invariant: a fault is data (a code and its facts), so that a daemon can turn it into a problem document
// without parsing text; the message is made from the fault in one place.

/** What went wrong, with its facts. Sizes in bytes, pages as indexes in the block unless said otherwise. */
export type MemoryFault =
  | { readonly code: 'missing'; readonly path: string }
  /** An image that is to be made, and where it goes there is no directory. */
  | { readonly code: 'no-directory'; readonly path: string; readonly directory: string }
  | { readonly code: 'not-a-file'; readonly path: string }
  | { readonly code: 'outside-root'; readonly path: string; readonly imageRoot: string }
  | {
      readonly code: 'invalid-size';
      readonly path: string;
      readonly sizeBytes: number;
      readonly reason: string;
    }
  | {
      readonly code: 'wrong-size';
      readonly path: string;
      readonly sizeBytes: number;
      readonly expectedSizeBytes: number;
    }
  /** The image's name leads to another file than the one that is open. */
  | { readonly code: 'replaced'; readonly path: string }
  | { readonly code: 'truncated'; readonly path: string; readonly sizeBytes: number }
  | { readonly code: 'locked'; readonly path: string }
  | {
      readonly code: 'outside-block';
      readonly firstPage: number;
      readonly pageCount: number;
      readonly pageLimit: number;
    }
  | {
      readonly code: 'outside-shard';
      readonly firstLocalPage: number;
      readonly pageCount: number;
      readonly localPageLimit: number;
    }
  | {
      readonly code: 'io';
      readonly operation: string;
      readonly path: string;
      /** The system's name of the error, such as ENOSPC; EIO where the system gave none. */
      readonly errno: string;
    };

/** The one error class of this package. */
export class MemoryError extends Error {
  override readonly name = 'MemoryError';
  readonly fault: MemoryFault;

  constructor(fault: MemoryFault, options?: { readonly cause: unknown }) {
    super(describe(fault), options);
    this.fault = fault;
  }
}

/**
 * Wraps what a system call threw.
 * @param operation the verb for the message: open, read, write, punch, lock …
 */
export function ioError(operation: string, path: string, cause: unknown): MemoryError {
  return new MemoryError({ code: 'io', operation, path, errno: errnoOf(cause) ?? 'EIO' }, { cause });
}

/** The system's name of an error (`code` of a Node.js system error), or undefined if it carries none. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function describe(fault: MemoryFault): string {
  switch (fault.code) {
    case 'missing':
      return `image ${fault.path} does not exist`;
    case 'no-directory':
      return `the directory ${fault.directory} of image ${fault.path} does not exist`;
    case 'not-a-file':
      return `image ${fault.path} is not a regular file`;
    case 'outside-root':
      return `image ${fault.path} is not below the image root ${fault.imageRoot}`;
    case 'invalid-size':
      return `image ${fault.path} has ${fault.sizeBytes} bytes: ${fault.reason}`;
    case 'wrong-size':
      return `image ${fault.path} has ${fault.sizeBytes} bytes instead of ${fault.expectedSizeBytes}`;
    case 'replaced':
      return `${fault.path} is not the image any more that the migration is of: it was replaced`;
    case 'truncated':
      return `image ${fault.path} was truncated to ${fault.sizeBytes} bytes while in use`;
    case 'locked':
      return `image ${fault.path} is locked by another migration`;
    case 'outside-block':
      return `pages ${fault.firstPage} + ${fault.pageCount} are outside the block of ${fault.pageLimit} pages`;
    case 'outside-shard':
      return `stream pages ${fault.firstLocalPage} + ${fault.pageCount} are outside the shard of ${fault.localPageLimit} pages`;
    case 'io':
      return `cannot ${fault.operation} image ${fault.path}: ${fault.errno}`;
  }
}
