/** What a call made of its input, as one word, so that tests can hold tables of it. */
import { ProtocolError } from '../src/errors.ts';

/** The code of the ProtocolError that `call` throws, or 'none'; any other error passes through. */
export function faultOf(call: () => unknown): string {
  try {
    call();
    return 'none';
  } catch (error) {
    if (error instanceof ProtocolError) {
      return error.fault.code;
    }
    throw error;
  }
}

/** A copy with some bytes changed. */
export function patched(bytes: Uint8Array, changes: Readonly<Record<number, number>>): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (const [offset, value] of Object.entries(changes)) {
    copy[Number(offset)] = value;
  }
  return copy;
}
