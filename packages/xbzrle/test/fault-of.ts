import { XbzrleError, type XbzrleFault } from '../src/errors.ts';

/** The fault that a call throws; undefined if it throws none. Any other error passes through. */
export function faultOf(call: () => unknown): XbzrleFault | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof XbzrleError) return error.fault;
    throw error;
  }
}
