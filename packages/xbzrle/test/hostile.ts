// Payloads that no encoder makes, each with the reason that `decode` gives. The kernel refuses the same ones.
import type { PayloadFault } from '../src/errors.ts';

type Hostile = { readonly name: string; readonly payload: string; readonly reason: PayloadFault };

/** Hex; `*N` at the end repeats the last byte so that it is there N times. */
export const HOSTILE_PAYLOADS: readonly Hostile[] = [
  { name: 'nothing', payload: '', reason: 'empty' },
  { name: 'longer than a page', payload: '00*4097', reason: 'longer-than-page' },
  { name: 'only an unchanged run', payload: '05', reason: 'truncated' },
  { name: 'half a count', payload: '80', reason: 'truncated' },
  { name: 'half a changed count', payload: '0180', reason: 'truncated' },
  { name: 'no changed bytes', payload: '0001', reason: 'truncated' },
  { name: 'one changed byte missing', payload: '00035a5a', reason: 'truncated' },
  { name: 'a second pair without its end', payload: '00015a01', reason: 'truncated' },
  { name: 'a second pair without its bytes', payload: '00015a0102ff', reason: 'truncated' },
  { name: 'a trailing unchanged run', payload: '00015aff1e', reason: 'truncated' },
  { name: 'a count of three bytes', payload: '80800101ff', reason: 'count-too-long' },
  { name: 'a changed count of three bytes', payload: '00ff8001ff', reason: 'count-too-long' },
  { name: '0 in two bytes', payload: '8000015a', reason: 'count-not-minimal' },
  { name: '127 in two bytes', payload: 'ff00015a', reason: 'count-not-minimal' },
  { name: 'a changed 1 in two bytes', payload: '0081005a', reason: 'count-not-minimal' },
  { name: 'no unchanged run between', payload: '00015a00015a', reason: 'unchanged-run-empty' },
  { name: 'no changed run', payload: '0100', reason: 'changed-run-empty' },
  { name: 'no changed run later', payload: '00015a0100', reason: 'changed-run-empty' },
  { name: 'one byte past the end', payload: '8020015a', reason: 'past-page-end' },
  { name: 'far past the end', payload: 'ff7f015a', reason: 'past-page-end' },
  { name: 'a run over the end', payload: 'ff1f025a5a', reason: 'past-page-end' },
  { name: 'a good pair, then past the end', payload: '00015aff1f015a', reason: 'past-page-end' },
];

export function bytesOf(payload: string): Uint8Array {
  const [hex = '', times] = payload.split('*');
  const bytes = Buffer.from(hex, 'hex');
  if (times === undefined) return bytes;
  const long = new Uint8Array(bytes.length + Number(times) - 1).fill(bytes.at(-1) ?? 0);
  long.set(bytes);
  return long;
}
