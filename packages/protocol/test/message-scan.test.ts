import * as fc from 'fast-check';
import { Packr } from 'msgpackr';
import t from 'tap';
import { scanMessage } from '../src/message-scan.ts';
import { ProtocolError } from '../src/errors.ts';
import { faultOf } from './faults.ts';
import { hexBytes } from './specification.ts';

/** A map with the one key "a". */
const inMap = (value: string) => `81 a161 ${value}`;

void t.test('the plain subset passes', (t) => {
  const cases: [string, string][] = [
    ['empty map', '80'],
    ['map 16', 'de0001 a161 c0'],
    ['map 32', 'df00000001 a161 c0'],
    ['str 8 key', '81 d90161 c0'],
    ['str 16 key', '81 da000161 c0'],
    ['str 32 key', '81 db0000000161 c0'],
    ['nil, booleans', inMap('93 c0 c2 c3')],
    ['small integers', inMap('93 00 7f e0')],
    [
      'integers',
      inMap('98 cc01 cd0001 ce00000001 cf0000000000000001 d001 d10001 d200000001 d30000000000000001'),
    ],
    ['floats', inMap('92 ca00000000 cb0000000000000000')],
    ['strings', inMap('94 a161 d90162 da000163 db0000000164')],
    ['UTF-8', inMap('a4f09f90a7')],
    ['binary', inMap('93 c40100 c5000100 c60000000100')],
    ['binary that is not UTF-8', inMap('c401ff')],
    ['arrays', inMap('93 91c0 dc0001c0 dd00000001c0')],
    ['nesting of 8', '81a161'.repeat(8) + 'c0'],
    ['nesting of 8, with arrays', inMap('91'.repeat(7) + 'c0')],
  ];
  t.plan(cases.length);
  for (const [name, hex] of cases) {
    t.equal(
      faultOf(() => scanMessage(hexBytes(hex))),
      'none',
      name,
    );
  }
});

void t.test('all else is refused, with its reason and place', (t) => {
  const end = 'the end of the message within a value';
  const extension = 'an extension type';
  const cases: [string, string, string, number][] = [
    ['empty', '', 'not a map', 0],
    ['an integer', '01', 'not a map', 0],
    ['an array', '9180', 'not a map', 0],
    ['two maps', '8080', 'bytes behind the message', 1],
    ['record extension 0x72', inMap('d47201'), extension, 3],
    ['undefined', inMap('d40000'), extension, 3],
    ['BigInt', inMap('c7014200'), extension, 3],
    ['typed array', inMap('c7027400ff'), extension, 3],
    ['timestamp', inMap('d6ff00000000'), extension, 3],
    ['fixext 2', inMap('d5010000'), extension, 3],
    ['fixext 8', inMap('d7010000000000000000'), extension, 3],
    ['fixext 16', inMap(`d801${'00'.repeat(16)}`), extension, 3],
    ['ext 16', inMap('c8000101 00'), extension, 3],
    ['ext 32', inMap('c90000000101 00'), extension, 3],
    ['bundled strings', inMap('c1'), 'the byte 0xc1', 3],
    ['integer key', '81 01 c0', 'a key that is not a string', 1],
    ['nil key', '81 c0 c0', 'a key that is not a string', 1],
    ['binary key', '81 c40161 c0', 'a key that is not a string', 1],
    ['map key', '81 80 c0', 'a key that is not a string', 1],
    ['extension key', '81 d47201 c0', 'a key that is not a string', 1],
    ['nesting of 9', '81a161'.repeat(9) + 'c0', 'nesting deeper than 8', 24],
    ['nesting of 9, an array inside', inMap('91'.repeat(8) + 'c0'), 'nesting deeper than 8', 10],
    ['nesting of thousands', inMap('91'.repeat(16000)), 'nesting deeper than 8', 10],
    ['4 Gi entries', 'dfffffffff', end, 5],
    ['15 entries, one there', '8f a161 c0', end, 1],
    ['4 Gi elements', inMap('ddffffffff 00'), end, 8],
    ['4 GiB binary', inMap('c6ffffffff 00'), end, 8],
    ['4 GiB string', inMap('dbffffffff 00'), end, 8],
    ['half a length', inMap('c600'), end, 5],
    ['half a float', inMap('cb0000'), end, 4],
    ['a key without a value', '81 a161', end, 3],
    ['a string that is cut', inMap('a2 61'), end, 4],
    ['half a character', inMap('a2f09f'), 'a string that is not UTF-8', 3],
    ['a surrogate', inMap('a3eda080'), 'a string that is not UTF-8', 3],
    ['a key that is not UTF-8', '81 a1ff c0', 'a string that is not UTF-8', 1],
  ];
  t.plan(cases.length);
  for (const [name, hex, reason, offsetBytes] of cases) {
    t.same(refusal(hexBytes(hex)), { code: 'malformed-message', reason, offsetBytes }, name);
  }
});

void t.test('what msgpackr writes of plain values passes, and no cut of it does', (t) => {
  const packr = new Packr({ useRecords: false, variableMapSize: true });
  const depth = { maxDepth: 5, withBigInt: false, withDate: false };
  t.plan(1);
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue(depth)), (value) => {
      const bytes = packr.pack(value);
      const cut = bytes.subarray(0, bytes.length - 1);
      return (
        faultOf(() => scanMessage(bytes)) === 'none' &&
        faultOf(() => scanMessage(cut)) === 'malformed-message'
      );
    }),
    { interruptAfterTimeLimit: 1000, markInterruptAsFailure: false },
  );
  t.pass('random values');
});

void t.test('what passes never makes msgpackr throw or leave plain values', (t) => {
  const packr = new Packr({
    useRecords: false,
    mapsAsObjects: true,
    int64AsType: 'number',
    copyBuffers: true,
  });
  t.plan(1);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (random) => {
      const bytes = Uint8Array.of(0x80 | ((random[0] ?? 0) & 3), ...random.subarray(1));
      if (faultOf(() => scanMessage(bytes)) !== 'none') {
        return true;
      }
      const value: unknown = packr.unpack(bytes);
      return typeof value === 'object' && value !== null;
    }),
    { interruptAfterTimeLimit: 1000, markInterruptAsFailure: false },
  );
  t.pass('random bytes');
});

function refusal(bytes: Uint8Array): unknown {
  try {
    scanMessage(bytes);
    return 'none';
  } catch (error) {
    return error instanceof ProtocolError ? error.fault : error;
  }
}
