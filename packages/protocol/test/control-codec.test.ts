import { Packr } from 'msgpackr';
import t from 'tap';
import {
  decodeDestinationMessage,
  decodeOfferedVersions,
  decodeSourceMessage,
  encodeDestinationMessage,
  encodeSourceMessage,
} from '../src/control-codec.ts';
import type { HelloStart } from '../src/control-message.ts';
import { ProtocolError } from '../src/errors.ts';
import { CONTROL_BEFORE_HELLO_MAX_BYTES, CONTROL_MESSAGE_MAX_BYTES } from '../src/limits.ts';
import { faultOf } from './faults.ts';
import { hexBytes } from './specification.ts';

const packr = new Packr({ useRecords: false });
const root = new Uint8Array(16).fill(7);

void t.test('nothing of a message refers to the bytes that it came in', (t) => {
  t.plan(1);
  const payload = encodeSourceMessage({ type: 'round-end', round: 1, roots: [root] });
  const message = decodeSourceMessage(payload);
  payload.fill(0xee);
  t.strictSame(message, { type: 'round-end', round: 1, roots: [root] });
});

void t.test('integers in every width', (t) => {
  const cases: [string, string, number | string][] = [
    ['fixint', '07', 7],
    ['uint 64', 'cf0000000000000007', 7],
    ['uint 64 above 2^32', 'cf0000000200000000', 2 ** 33],
    ['int 64', 'd30000000200000000', 2 ** 33],
    ['float 64', 'cb4200000000000000', 2 ** 33],
    ['2^53 - 1', 'cf001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['2^53', 'cf0020000000000000', 'invalid-message'],
    ['2^64 - 1', 'cfffffffffffffffff', 'invalid-message'],
    ['-1', 'ff', 'invalid-message'],
    ['a half', 'cb3fe0000000000000', 'invalid-message'],
    ['NaN', 'cb7ff8000000000000', 'invalid-message'],
    ['infinity', 'cb7ff0000000000000', 'invalid-message'],
    ['text', 'a137', 'invalid-message'],
    ['nil', 'c0', 'invalid-message'],
  ];
  t.plan(cases.length);
  for (const [name, hex, expected] of cases) {
    const payload = hexBytes(`82 a474797065 ad63616368652d6365696c696e67 a56279746573 ${hex}`);
    t.same(
      outcome(() => decodeDestinationMessage(payload)),
      expected,
      name,
    );
  }
});

void t.test('dangerous bytes never reach msgpackr', (t) => {
  const cases: [string, string][] = [
    ['a record definition', '81 a474797065 d47201'],
    ['too deep', '81 a474797065' + '91'.repeat(1000)],
    ['trailing bytes', '81 a474797065 a57175657279 00'],
    ['a key that is not a string', '82 a474797065 a57175657279 01 02'],
  ];
  t.plan(cases.length * 3);
  for (const [name, hex] of cases) {
    for (const decode of [decodeSourceMessage, decodeDestinationMessage, decodeOfferedVersions]) {
      t.equal(
        faultOf(() => decode(hexBytes(hex))),
        'malformed-message',
        name,
      );
    }
  }
});

void t.test('a key called __proto__ is an unknown field', (t) => {
  t.plan(2);
  const payload = hexBytes('82 a474797065 a57175657279 a95f5f70726f746f5f5f 81 a161 01');
  t.equal(
    faultOf(() => decodeSourceMessage(payload)),
    'invalid-message',
  );
  t.equal('a' in {}, false);
});

void t.test('the issues name their fields, and are few', (t) => {
  t.plan(2);
  const payload = packr.pack({ type: 'round-end', round: -1, roots: Array.from({ length: 64 }, () => 'x') });
  const error = thrown(() => decodeSourceMessage(payload));
  const fault = error instanceof ProtocolError ? error.fault : undefined;
  const issues = fault?.code === 'invalid-message' ? fault.issues : [];
  t.match(issues[0], /^round: /);
  t.equal(issues.length, 8);
});

void t.test('the offer of a hello of the future can be read', (t) => {
  t.plan(4);
  const hello = { type: 'hello', versions: [7, 2, 1], purpose: 'teleport', luggage: { heavy: true } };
  t.same(decodeOfferedVersions(packr.pack(hello)), [7, 2, 1]);
  t.equal(
    faultOf(() => decodeOfferedVersions(packr.pack({ ...hello, type: 'query' }))),
    'invalid-message',
  );
  t.equal(
    faultOf(() => decodeOfferedVersions(packr.pack({ ...hello, versions: [] }))),
    'invalid-message',
  );
  t.equal(
    faultOf(() => decodeOfferedVersions(packr.pack({ ...hello, versions: [0] }))),
    'invalid-message',
  );
});

void t.test('encoding asserts that a message is valid and short enough', (t) => {
  t.plan(3);
  t.throws(() => encodeSourceMessage({ type: 'round-end', round: 0, roots: [new Uint8Array(15)] }));
  t.throws(() => encodeDestinationMessage({ type: 'cache-ceiling', bytes: 0.5 }));
  t.throws(() => encodeSourceMessage(largestHello(64, 'r'.repeat(255))), RangeError);
});

void t.test('the largest messages fit their limits', (t) => {
  t.plan(2);
  const hello = encodeSourceMessage(largestHello(64, 'r'.repeat(100)));
  t.ok(
    hello.length <= CONTROL_BEFORE_HELLO_MAX_BYTES,
    `hello of 64 blocks with ids of 100 bytes: ${hello.length}`,
  );
  const text = '\u{1F427}'.repeat(2048);
  const problem = {
    type: 't'.repeat(256),
    title: 't'.repeat(256),
    detail: text,
    phase: 'p'.repeat(256),
    peer: 'destination',
    retryable: false,
    hint: text,
  } as const;
  const error = encodeDestinationMessage({ type: 'error', problem });
  t.ok(error.length <= CONTROL_MESSAGE_MAX_BYTES, `error: ${error.length}`);
});

function largestHello(blockCount: number, id: string): HelloStart {
  return {
    type: 'hello',
    versions: [1],
    sessionId: root,
    epoch: 1,
    purpose: 'start',
    token: 't'.repeat(128),
    isResumable: true,
    guestType: 'none',
    pageSize: 4096,
    blocks: Array.from({ length: blockCount }, () => ({ id, sizeBytes: 2 ** 44 })),
    streamCount: 16,
    secret: new Uint8Array(192),
    xbzrleCacheSizeBytes: 2 ** 35,
    destinationReread: false,
  };
}

function thrown(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

function outcome(decode: () => ReturnType<typeof decodeDestinationMessage>): number | string {
  const fault = faultOf(decode);
  const message = fault === 'none' ? decode() : undefined;
  return message?.type === 'cache-ceiling' ? message.bytes : fault;
}
