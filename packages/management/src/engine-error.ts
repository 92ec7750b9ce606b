/** The error that an engine reported, made again: what ended it decides whether trying again helps. */
import { MemoryError, type MemoryFault } from '@pageferry/memory';
import { ProblemError, ProtocolError } from '@pageferry/protocol';
import { TransportError, type ErrorReport, type TransportFault } from '@pageferry/transport';

/** A fault of the image, the connection or the stream as such, anything else as ENGINE_FAILED with its reason. */
export function engineError({ name, reason, fault }: ErrorReport): Error {
  // Both ends of this channel are of the same build; nothing else writes to it.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  if (name === MemoryError.name) return new MemoryError(fault as MemoryFault);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  if (name === TransportError.name) return new TransportError(fault as TransportFault);
  if (name === ProtocolError.name) return new ProblemError('protocol-violation', reason);
  return new TransportError({ code: 'ENGINE_FAILED', reason });
}
