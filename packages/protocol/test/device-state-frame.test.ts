import t from 'tap';
import { decodeDeviceStatePiece, encodeDeviceStatePiece } from '../src/device-state-frame.ts';
import { DEVICE_STATE_MAX_BYTES } from '../src/limits.ts';
import { faultOf } from './faults.ts';

void t.test('pieces in order', (t) => {
  const piece = Uint8Array.of(1, 2, 3);
  const frame = (offsetBytes: number, totalBytes: number) =>
    encodeDeviceStatePiece({ offsetBytes, totalBytes, piece });
  const cases: [string, Uint8Array, number, string][] = [
    ['the first', frame(0, 6), 0, 'none'],
    ['the last', frame(3, 6), 3, 'none'],
    ['no byte', frame(0, 6).subarray(0, 8), 0, 'truncated'],
    ['half a header', frame(0, 6).subarray(0, 7), 0, 'truncated'],
    ['a gap', frame(4, 9), 3, 'unexpected-value'],
    ['again', frame(0, 6), 3, 'unexpected-value'],
    ['beyond the whole', frame(4, 6), 4, 'out-of-range'],
    ['a whole too large', frame(0, DEVICE_STATE_MAX_BYTES + 1), 0, 'out-of-range'],
  ];
  t.plan(cases.length);
  for (const [name, bytes, expected, fault] of cases) {
    t.equal(
      faultOf(() => decodeDeviceStatePiece(bytes, expected)),
      fault,
      name,
    );
  }
});
