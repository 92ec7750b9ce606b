import * as fc from 'fast-check';
import t from 'tap';
import {
  CONTROL_LIMITS,
  CONTROL_LIMITS_BEFORE_HELLO,
  encodeFrame,
  FRAME_TYPE,
  type Frame,
} from '../src/frame.ts';
import { FrameSplitter } from '../src/frame-splitter.ts';
import { faultOf } from './faults.ts';

const payloads = [1, 2, 100, 9, 16384, 65536, 3].map((length, index) =>
  new Uint8Array(length).fill(index + 1),
);
const stream = Buffer.concat(payloads.map((payload) => control(payload)));
const allTypes = { ...CONTROL_LIMITS };

void t.test('any chunks give the same frames', (t) => {
  const sizes = [1, 7, 16, 17, 4096, stream.length];
  t.plan(sizes.length + 1);
  for (const size of sizes) {
    t.same(split(chunksOf(stream, () => size)), payloads, `chunks of ${size} bytes`);
  }
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40000 }), { minLength: 1, maxLength: 20 }), (random) => {
      const result = split(chunksOf(stream, (index) => random[index % random.length] ?? 1));
      return Buffer.concat(result).equals(Buffer.concat(payloads)) && result.length === payloads.length;
    }),
    { interruptAfterTimeLimit: 1000, markInterruptAsFailure: false },
  );
  t.pass('random chunks');
});

void t.test('a payload does not change with the chunk', (t) => {
  t.plan(1);
  const chunk = Uint8Array.from(control(Uint8Array.of(1, 2, 3)));
  const frames: Frame[] = [];
  new FrameSplitter(allTypes).push(chunk, (frame) => frames.push(frame));
  chunk.fill(0xee);
  t.same(
    frames.map(({ payload }) => [...payload]),
    [[1, 2, 3]],
  );
});

void t.test('limits changed by the visitor hold for the rest of the chunk', (t) => {
  t.plan(2);
  const chunk = Buffer.concat([control(Uint8Array.of(1)), control(new Uint8Array(20000))]);
  const lengths: number[] = [];
  const splitter = new FrameSplitter(CONTROL_LIMITS_BEFORE_HELLO);
  splitter.push(chunk, ({ payload }) => {
    lengths.push(payload.length);
    splitter.setLimits(CONTROL_LIMITS);
  });
  t.same(lengths, [1, 20000]);
  const strict = new FrameSplitter(CONTROL_LIMITS_BEFORE_HELLO);
  t.equal(
    faultOf(() => strict.push(chunk, () => {})),
    'payload-too-long',
  );
});

void t.test('after an error every push repeats it', (t) => {
  t.plan(4);
  const splitter = new FrameSplitter(allTypes);
  t.equal(
    faultOf(() => splitter.push(new Uint8Array(16), () => {})),
    'unknown-frame-type',
  );
  t.equal(
    faultOf(() => splitter.push(stream, () => {})),
    'unknown-frame-type',
  );
  t.equal(
    faultOf(() => splitter.end()),
    'unknown-frame-type',
  );
  const visited = new FrameSplitter(allTypes);
  t.throws(() => visited.push(stream, refuse), TypeError);
});

void t.test('the end of the stream', (t) => {
  const first = control(Uint8Array.of(1, 2));
  const cases: [number, string][] = [
    [0, 'none'],
    [1, 'truncated'],
    [15, 'truncated'],
    [16, 'truncated'],
    [17, 'truncated'],
    [18, 'none'],
  ];
  t.plan(cases.length);
  for (const [length, fault] of cases) {
    const splitter = new FrameSplitter(allTypes);
    splitter.push(first.subarray(0, length), () => {});
    t.equal(
      faultOf(() => splitter.end()),
      fault,
      `${length} of 18 bytes`,
    );
  }
});

void t.test('a declared length allocates nothing before it passed its limit', (t) => {
  t.plan(1);
  const bytes = control(Uint8Array.of(1));
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, 0xffffffff, true);
  t.equal(
    faultOf(() => new FrameSplitter(allTypes).push(bytes, () => {})),
    'payload-too-long',
  );
});

function control(payload: Uint8Array): Uint8Array {
  return encodeFrame({ type: FRAME_TYPE.control, epoch: 1, aux: 0, payload });
}

function split(chunks: Uint8Array[]): Uint8Array[] {
  const splitter = new FrameSplitter(allTypes);
  const result: Uint8Array[] = [];
  for (const chunk of chunks) {
    splitter.push(chunk, ({ payload }) => result.push(payload));
  }
  splitter.end();
  return result;
}

function chunksOf(bytes: Uint8Array, size: (index: number) => number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let offset = 0; offset < bytes.length; offset += size(chunks.length - 1)) {
    chunks.push(bytes.subarray(offset, offset + size(chunks.length)));
  }
  return chunks;
}

function refuse(): never {
  throw new TypeError('not mine');
}
