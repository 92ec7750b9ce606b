import { createHash } from 'node:crypto';
import t from 'tap';
import { encodeDeviceStatePiece, ProblemError, ProtocolError } from '@pageferry/protocol';
import { ArrivingDeviceState } from '../src/device-state.ts';

const STATE = Uint8Array.from({ length: 10_000 }, (_, index) => index % 251);
const stated = { sizeBytes: STATE.length, sha256: createHash('sha256').update(STATE).digest() };

function arriving(pieceBytes: number, end = STATE.length): ArrivingDeviceState {
  const arriving = new ArrivingDeviceState();
  for (let offsetBytes = 0; offsetBytes < end; offsetBytes += pieceBytes) {
    const piece = STATE.subarray(offsetBytes, Math.min(offsetBytes + pieceBytes, end));
    arriving.add(encodeDeviceStatePiece({ offsetBytes, totalBytes: STATE.length, piece }));
  }
  return arriving;
}

void t.test('pieces add up to what was said', (t) => {
  for (const pieceBytes of [1000, 4096, STATE.length])
    t.same(arriving(pieceBytes).finish('qemu', stated), { format: 'qemu', bytes: STATE });
  t.equal(new ArrivingDeviceState().finish('none', undefined), null);
  t.end();
});

void t.test('anything else is refused', (t) => {
  t.throws(() => arriving(1000, 9000).finish('qemu', stated), ProblemError, 'a piece is missing at the end');
  t.throws(() => new ArrivingDeviceState().finish('qemu', stated), ProblemError, 'nothing came');
  t.throws(() => arriving(1000).finish('qemu', undefined), ProblemError, 'nothing was to come');
  const other = { ...stated, sha256: createHash('sha256').digest() };
  t.throws(() => arriving(1000).finish('qemu', other), ProblemError, 'another digest');
  const piece = STATE.subarray(0, 10);
  t.throws(
    () => arriving(1000, 1000).add(encodeDeviceStatePiece({ offsetBytes: 0, totalBytes: 10_000, piece })),
    ProtocolError,
    'a piece twice',
  );
  t.throws(
    () => arriving(1000, 1000).add(encodeDeviceStatePiece({ offsetBytes: 1000, totalBytes: 9999, piece })),
    ProblemError,
    'another size',
  );
  t.end();
});
