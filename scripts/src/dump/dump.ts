/** A stream's bytes in, the lines of its dump out, a piece at a time: any size in the memory of one frame. */
import { ProtocolError } from '@pageferry/protocol';
import type { Format } from './format.ts';
import { StreamReader, type ReaderOptions } from './stream-reader.ts';

/**
 * Resolves with whether the stream was read to its end. If not, the last line says where and why; everything before that
 * was written. Rejects with what `pieces` or `write` reject with.
 */
export async function dumpStream(
  pieces: AsyncIterable<unknown>,
  format: Format,
  write: (text: string) => Promise<void>,
  options: ReaderOptions,
): Promise<boolean> {
  const reader = new StreamReader(options);
  /** What the current piece has completed. */
  let text = '';
  const visit: Parameters<StreamReader['push']>[1] = (entry) => {
    text += format.entry(entry);
  };
  try {
    for await (const piece of pieces) {
      if (!(piece instanceof Uint8Array)) throw new TypeError('a stream gives bytes');
      reader.push(piece, visit);
      await write(text);
      text = '';
    }
    reader.end(visit);
    await write(text);
    return true;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    await write(text + format.fault(reader.offset, error));
    return false;
  }
}
